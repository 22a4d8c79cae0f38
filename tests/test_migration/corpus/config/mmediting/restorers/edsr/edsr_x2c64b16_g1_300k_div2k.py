# Written for the tests after MMEditing v0.16.1,
# configs/restorers/edsr/edsr_x2c64b16_g1_300k_div2k.py.

exp_name = 'edsr_x2c64b16_g1_300k_div2k'

scale = 2
model = dict(
    type='BasicRestorer',
    generator=dict(type='EDSR', mid_channels=64, upscale_factor=scale),
    pixel_loss=dict(type='L1Loss', loss_weight=1.0, reduction='mean'))
# how the model is trained and tested
train_cfg = None
test_cfg = dict(metrics=['PSNR'], crop_border=scale)

data = dict(
    workers_per_gpu=8,
    train_dataloader=dict(samples_per_gpu=16, drop_last=True),
    val_dataloader=dict(samples_per_gpu=1),
    train=dict(
        type='RepeatDataset',
        times=1000,
        dataset=dict(type='SRAnnotationDataset', scale=scale)),
    val=dict(type='SRFolderDataset', scale=scale))

optimizers = dict(generator=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999)))

# half the rate for the last third
total_iters = 300000
lr_config = dict(policy='Step', by_epoch=False, step=[200000], gamma=0.5)

checkpoint_config = dict(interval=5000, save_optimizer=True, by_epoch=False)
evaluation = dict(interval=5000, save_image=True, gpu_collect=True)
log_config = dict(
    interval=100, hooks=[dict(type='TextLoggerHook', by_epoch=False)])
visual_config = None

dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = f'./work_dirs/{exp_name}'
load_from = None
resume_from = None
workflow = [('train', 1)]
