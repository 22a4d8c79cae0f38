# Written for the tests after MMEditing v0.16.1,
# configs/inpainting/deepfillv2/deepfillv2_256x256_8x2_celeba.py.

model = dict(
    type='TwoStageInpaintor',
    disc_input_with_mask=True,
    encdec=dict(type='DeepFillEncoderDecoder'),
    disc=dict(type='MultiLayerDiscriminator', in_channels=4),
    stage2_loss_type=('loss_l1_hole', 'loss_l1_valid', 'loss_gan'),
    loss_gan=dict(type='GANLoss', gan_type='hinge', loss_weight=0.1),
    pretrained=None)

train_cfg = dict(disc_step=1)
test_cfg = dict(metrics=['l1', 'psnr', 'ssim'])

data = dict(
    workers_per_gpu=4,
    train_dataloader=dict(samples_per_gpu=2, drop_last=True),
    train=dict(type='ImgInpaintingDataset', data_prefix='./data/celeba'))

optimizers = dict(
    generator=dict(type='Adam', lr=0.0001), disc=dict(type='Adam', lr=0.0001))

lr_config = dict(policy='Fixed', by_epoch=False)

checkpoint_config = dict(by_epoch=False, interval=50000)
log_config = dict(
    interval=100,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
        # dict(type='TensorboardLoggerHook'),
    ])

visual_config = dict(
    type='MMEditVisualizationHook',
    output_dir='visual',
    interval=1000,
    res_name_list=['gt_img', 'masked_img', 'fake_img'],
)

evaluation = dict(interval=50000)

total_iters = 500003
dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = './work_dirs/deepfillv2'
load_from = None
resume_from = None
workflow = [('train', 10000)]
exp_name = 'deepfillv2_256x256_8x2_celeba'
find_unused_parameters = False
