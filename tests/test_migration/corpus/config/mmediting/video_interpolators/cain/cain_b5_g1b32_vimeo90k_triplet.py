# Written for the tests after MMEditing v0.16.1,
# configs/video_interpolators/cain/cain_b5_g1b32_vimeo90k_triplet.py.

exp_name = 'cain_b5_g1b32_vimeo90k_triplet'

model = dict(
    type='CAIN',
    generator=dict(type='CAINNet'),
    pixel_loss=dict(type='L1Loss', loss_weight=1.0, reduction='mean'))
train_cfg = None
test_cfg = dict(metrics=['PSNR', 'SSIM'], crop_border=0)

data = dict(
    workers_per_gpu=32,
    train_dataloader=dict(samples_per_gpu=32, drop_last=True),
    train=dict(type='VFIVimeo90KDataset'))

optimizers = dict(generator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.99)))

# 1604 iterations pass over the data once
total_iters = 288700
lr_config = dict(
    policy='Reduce',
    by_epoch=False,
    mode='max',
    val_metric='PSNR',
    epoch_base_valid=True,  # each validation ends an epoch
    factor=0.5,
    patience=5,
    cooldown=0,
    verbose=True)

checkpoint_config = dict(interval=1604, save_optimizer=True, by_epoch=False)
evaluation = dict(interval=1604, save_image=False)
log_config = dict(
    interval=100,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
        dict(
            type='TensorboardLoggerHook',
            log_dir=f'work_dirs/{exp_name}/tb_log/',
            interval=100,
            ignore_last=False,
            reset_flag=False,
            by_epoch=False),
    ])
visual_config = None

dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = f'./work_dirs/{exp_name}'
load_from = None
resume_from = None
workflow = [('train', 1)]
