# Written for the tests after MMEditing v0.16.1,
# configs/inpainting/partial_conv/pconv_256x256_stage1_8x1_celeba.py.

model = dict(
    type='PConvInpaintor',
    encdec=dict(type='PConvEncoderDecoder'),
    disc=None,
    loss_l1_hole=dict(type='L1Loss', loss_weight=6.),
    loss_l1_valid=dict(type='L1Loss', loss_weight=1.),
    pretrained=None)

# no discriminator
train_cfg = dict(disc_step=0)
test_cfg = dict(metrics=['l1'])

data = dict(
    workers_per_gpu=4,
    train_dataloader=dict(samples_per_gpu=12, drop_last=True),
    train=dict(type='ImgInpaintingDataset', data_prefix='./data/celeba'))

optimizers = dict(generator=dict(type='Adam', lr=0.0002))

lr_config = dict(policy='Fixed', by_epoch=False)

checkpoint_config = dict(by_epoch=False, interval=50000)
log_config = dict(
    interval=100,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
    ])

visual_config = dict(
    type='MMEditVisualizationHook',
    output_dir='visual',
    interval=1000,
    res_name_list=['gt_img', 'masked_img', 'fake_res', 'fake_img'],
)

evaluation = dict(interval=50000)

total_iters = 800002
dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = './work_dirs/pconv'
load_from = None
resume_from = None
workflow = [('train', 10000)]
exp_name = 'pconv_256x256_stage1_8x1'
find_unused_parameters = False
