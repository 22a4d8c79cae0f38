# Written for the tests after MMEditing v0.16.1,
# configs/restorers/srresnet_srgan/srgan_x4c64b16_g1_1000k_div2k.py.

exp_name = 'srgan_x4c64b16_g1_1000k_div2k'

scale = 4
model = dict(
    type='SRGAN',
    generator=dict(type='MSRResNet', num_blocks=16, upscale_factor=scale),
    discriminator=dict(type='ModifiedVGG', in_channels=3, mid_channels=64),
    pixel_loss=dict(type='L1Loss', loss_weight=1e-2, reduction='mean'),
    gan_loss=dict(type='GANLoss', gan_type='vanilla', loss_weight=5e-3),
    pretrained=None)
train_cfg = None
test_cfg = dict(metrics=['PSNR'], crop_border=scale)

data = dict(samples_per_gpu=16, workers_per_gpu=6)

optimizers = dict(
    generator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999)),
    discriminator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999)))

total_iters = 400000
lr_config = dict(
    policy='Step',
    by_epoch=False,
    step=[50000, 100000, 200000, 300000],
    gamma=0.5)

checkpoint_config = dict(interval=5000, save_optimizer=True, by_epoch=False)
evaluation = dict(interval=5000, save_image=True, gpu_collect=True)
log_config = dict(
    interval=100,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
        dict(type='TensorboardLoggerHook'),
    ])
visual_config = None

dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = f'./work_dirs/{exp_name}'
load_from = 'work_dirs/001_MSRResNet_cosanealing_iter_1000000.pth'
resume_from = None
workflow = [('train', 1)]
