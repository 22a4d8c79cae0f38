# Written for the tests after MMEditing v0.16.1,
# configs/inpainting/deepfillv1/deepfillv1_256x256_4x4_celeba.py.

model = dict(
    type='DeepFillv1Inpaintor',
    encdec=dict(type='DeepFillEncoderDecoder'),
    disc=dict(type='DeepFillv1Discriminators'),
    stage2_loss_type=('loss_l1_hole', 'loss_l1_valid', 'loss_gan'),
    loss_gan=dict(type='GANLoss', gan_type='wgan', loss_weight=0.0001),
    loss_gp=dict(type='GradientPenaltyLoss', loss_weight=10.),
    pretrained=None)

train_cfg = dict(disc_step=2, local_size=(128, 128))
test_cfg = dict(metrics=['l1', 'psnr', 'ssim'])

data = dict(
    workers_per_gpu=4,
    train_dataloader=dict(samples_per_gpu=4, drop_last=True),
    train=dict(type='ImgInpaintingDataset', data_prefix='./data/celeba'))

optimizers = dict(
    generator=dict(type='Adam', lr=0.0001), disc=dict(type='Adam', lr=0.0001))

lr_config = dict(policy='Fixed', by_epoch=False)

checkpoint_config = dict(by_epoch=False, interval=250000)
log_config = dict(
    interval=100,
    hooks=[
        dict(type='IterTextLoggerHook'),
        # dict(type='TensorboardLoggerHook'),
    ])

visual_config = dict(
    type='MMEditVisualizationHook',
    output_dir='visual',
    interval=10000,
    res_name_list=[
        'gt_img', 'masked_img', 'stage1_fake_res', 'stage2_fake_res'
    ],
)

evaluation = dict(
    interval=250000,
    metric_dict=dict(l1=dict()),
)

total_iters = 1500003
dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = './work_dirs/deepfillv1'
load_from = None
resume_from = None
workflow = [('train', 10000)]
exp_name = 'deepfillv1_256x256_4x4_celeba'
find_unused_parameters = False
