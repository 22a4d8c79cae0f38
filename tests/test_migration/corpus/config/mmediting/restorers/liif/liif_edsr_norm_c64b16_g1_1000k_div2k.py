# Written for the tests after MMEditing v0.16.1,
# configs/restorers/liif/liif_edsr_norm_c64b16_g1_1000k_div2k.py.

exp_name = 'liif_edsr_norm_c64b16_g1_1000k_div2k'
scale_min, scale_max = 1, 4

model = dict(
    type='LIIF',
    generator=dict(type='LIIFEDSR', eval_bsize=30000),
    rgb_mean=(0.5, 0.5, 0.5),
    rgb_std=(0.5, 0.5, 0.5),
    pixel_loss=dict(type='L1Loss', loss_weight=1.0, reduction='mean'))
train_cfg = None
test_cfg = dict(metrics=['PSNR', 'SSIM'], crop_border=scale_max)

data = dict(
    workers_per_gpu=8,
    train_dataloader=dict(samples_per_gpu=16, drop_last=True),
    train=dict(type='SRFolderGTDataset', scale=scale_max))

# one optimizer for all of the model
optimizers = dict(type='Adam', lr=1.e-4)

iter_per_epoch = 1000
total_iters = 1000 * iter_per_epoch
lr_config = dict(
    policy='Step',
    by_epoch=False,
    step=[200000, 400000, 600000, 800000],
    gamma=0.5)

checkpoint_config = dict(interval=3000, save_optimizer=True, by_epoch=False)
evaluation = dict(interval=3000, save_image=True, gpu_collect=True)
log_config = dict(
    interval=100,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
        dict(type='TensorboardLoggerHook')
    ])
visual_config = None

dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = f'./work_dirs/{exp_name}'
load_from = None
resume_from = None
workflow = [('train', 1)]
find_unused_parameters = True
