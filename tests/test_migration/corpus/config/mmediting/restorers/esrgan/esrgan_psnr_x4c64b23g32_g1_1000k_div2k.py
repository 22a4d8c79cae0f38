# Written for the tests after MMEditing v0.16.1,
# configs/restorers/esrgan/esrgan_psnr_x4c64b23g32_g1_1000k_div2k.py.

exp_name = 'esrgan_psnr_x4c64b23g32_g1_1000k_div2k'

scale = 4
model = dict(
    type='BasicRestorer',
    generator=dict(type='RRDBNet', num_blocks=23, upscale_factor=scale),
    pixel_loss=dict(type='L1Loss', loss_weight=1.0, reduction='mean'))
train_cfg = None
test_cfg = dict(metrics=['PSNR', 'SSIM'], crop_border=scale)

data = dict(
    workers_per_gpu=8,
    train_dataloader=dict(samples_per_gpu=16, drop_last=True),
    train=dict(type='SRAnnotationDataset', scale=scale))

optimizers = dict(generator=dict(type='Adam', lr=2e-4, betas=(0.9, 0.999)))

# four times from the top
total_iters = 1000000
lr_config = dict(
    policy='CosineRestart',
    by_epoch=False,
    periods=[250000, 250000, 250000, 250000],
    restart_weights=[1, 1, 1, 1],
    min_lr=1e-7)

checkpoint_config = dict(interval=5000, save_optimizer=True, by_epoch=False)
evaluation = dict(interval=5000, save_image=True, gpu_collect=True)
log_config = dict(
    interval=100,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
        dict(type='TensorboardLoggerHook'),
        # dict(type='PaviLoggerHook', init_kwargs=dict(project='mmedit-sr'))
    ])
visual_config = None

dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = f'./work_dirs/{exp_name}'
load_from = None
resume_from = None
workflow = [('train', 1)]
