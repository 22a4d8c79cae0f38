# Written for the tests after MMEditing v0.16.1,
# configs/inpainting/global_local/gl_256x256_8x12_celeba.py.

model = dict(
    type='GLInpaintor',
    encdec=dict(type='GLEncoderDecoder'),
    disc=dict(type='GLDiscs'),
    loss_gan=dict(type='GANLoss', gan_type='vanilla', loss_weight=0.001),
    loss_l1_hole=dict(type='L1Loss', loss_weight=1.0),
    pretrained=None)

# each alone for a while, then both together
train_cfg = dict(
    disc_step=1,
    iter_tc=40000,
    iter_td=50000,
    start_iter=0,
    local_size=(128, 128))
test_cfg = dict(metrics=['l1', 'psnr', 'ssim'])

data = dict(
    workers_per_gpu=4,
    train_dataloader=dict(samples_per_gpu=12, drop_last=True),
    train=dict(type='ImgInpaintingDataset', data_prefix='./data/celeba'))

optimizers = dict(
    generator=dict(type='Adam', lr=0.0004), disc=dict(type='Adam', lr=0.0004))

lr_config = dict(policy='Fixed', by_epoch=False)

checkpoint_config = dict(by_epoch=False, interval=50000)
log_config = dict(
    interval=100,
    hooks=[
        dict(type='IterTextLoggerHook'),
    ])

visual_config = dict(
    type='MMEditVisualizationHook',
    output_dir='visual',
    interval=1000,
    res_name_list=['gt_img', 'masked_img', 'fake_res', 'fake_img'],
)

evaluation = dict(
    interval=50000,
    metric_dict=dict(l1=dict()),
)

total_iters = 300002
dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = './work_dirs/gl_celeba'
load_from = None
resume_from = None
workflow = [('train', 10000)]
exp_name = '0027_gl_celeba'
find_unused_parameters = False
