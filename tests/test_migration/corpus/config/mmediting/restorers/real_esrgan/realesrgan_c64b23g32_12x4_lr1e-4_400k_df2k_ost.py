# Written for the tests after MMEditing v0.16.1,
# configs/restorers/real_esrgan/
# realesrgan_c64b23g32_12x4_lr1e-4_400k_df2k_ost.py.

exp_name = 'realesrgan_c64b23g32_12x4_lr1e-4_400k_df2k_ost'

scale = 4
model = dict(
    type='RealESRGAN',
    generator=dict(type='RRDBNet', num_blocks=23, upscale_factor=scale),
    discriminator=dict(type='UNetDiscriminatorWithSpectralNorm'),
    pixel_loss=dict(type='L1Loss', loss_weight=1.0, reduction='mean'),
    gan_loss=dict(type='GANLoss', gan_type='vanilla', loss_weight=1e-1),
    is_use_ema=True,
)
train_cfg = dict(start_iter=1000000)
test_cfg = dict(metrics=['PSNR', 'SSIM'], crop_border=0)

data = dict(
    workers_per_gpu=8,
    train_dataloader=dict(samples_per_gpu=12, drop_last=True),
    train=dict(type='SRAnnotationDataset', scale=scale))

optimizers = dict(
    generator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)),
    discriminator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))

# a schedule that changes nothing
total_iters = 400000
lr_config = dict(policy='Step', by_epoch=False, step=[400000], gamma=1)

checkpoint_config = dict(interval=5000, save_optimizer=True, by_epoch=False)
evaluation = dict(interval=5000, save_image=True, gpu_collect=True)
log_config = dict(
    interval=100,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
        dict(type='TensorboardLoggerHook'),
    ])
visual_config = None

custom_hooks = [
    dict(
        type='ExponentialMovingAverageHook',
        module_keys=('generator_ema'),
        interval=1,
        interp_cfg=dict(momentum=0.999),
    )
]

dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = f'./work_dirs/{exp_name}'
load_from = 'work_dirs/realesrnet/iter_1000000.pth'
resume_from = None
workflow = [('train', 1)]
