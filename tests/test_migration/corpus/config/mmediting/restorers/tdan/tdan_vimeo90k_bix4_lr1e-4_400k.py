# Written for the tests after MMEditing v0.16.1,
# configs/restorers/tdan/tdan_vimeo90k_bix4_lr1e-4_400k.py.

exp_name = 'tdan_vimeo90k_bix4_lr1e-4_400k'

model = dict(
    type='TDAN',
    generator=dict(type='TDANNet'),
    pixel_loss=dict(type='MSELoss', loss_weight=1.0, reduction='mean'),
    lq_pixel_loss=dict(type='MSELoss', loss_weight=0.01, reduction='mean'))
train_cfg = None
test_cfg = dict(metrics=['PSNR', 'SSIM'], crop_border=8, convert_to='y')

data = dict(
    workers_per_gpu=8,
    train_dataloader=dict(samples_per_gpu=16, drop_last=True),  # on 8 GPUs
    train=dict(type='SRVimeo90KDataset', scale=4))

optimizers = dict(generator=dict(type='Adam', lr=1e-4, weight_decay=1e-6))

# the step comes when all is over
total_iters = 400000
lr_config = dict(policy='Step', by_epoch=False, step=[400000], gamma=0.5)

checkpoint_config = dict(interval=50000, save_optimizer=True, by_epoch=False)
evaluation = dict(interval=50000, save_image=False, gpu_collect=True)
log_config = dict(
    interval=100,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
    ])
visual_config = None

dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = f'./experiments/{exp_name}'
load_from = None
resume_from = None
workflow = [('train', 1)]
