# Written for the tests after MMEditing v0.16.1,
# configs/video_interpolators/tof/tof_vfi_spynet_chair_nobn_1xb1_vimeo90k.py.

exp_name = 'tof_vfi_spynet_chair_nobn_1xb1_vimeo90k'

model = dict(
    type='BasicInterpolator',
    generator=dict(type='TOFlowVFI'),
    pixel_loss=dict(type='CharbonnierLoss', loss_weight=1.0, reduction='mean'))
train_cfg = None
test_cfg = dict(metrics=['PSNR', 'SSIM'], crop_border=0)

data = dict(
    workers_per_gpu=1,
    train_dataloader=dict(samples_per_gpu=1, drop_last=True),
    train=dict(type='VFIVimeo90KDataset'))

optimizers = dict(
    generator=dict(
        type='Adam', lr=5e-5, betas=(0.9, 0.99), weight_decay=1e-4))

total_iters = 1000000
lr_config = dict(
    policy='Step',
    by_epoch=False,
    gamma=0.5,
    step=[200000, 400000, 600000, 800000])

checkpoint_config = dict(interval=5000, save_optimizer=True, by_epoch=False)
evaluation = dict(interval=5000, save_image=True, gpu_collect=True)
log_config = dict(
    interval=100,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
    ])
visual_config = None

dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = f'./work_dirs/{exp_name}'
load_from = None
resume_from = None
workflow = [('train', 1)]
