# Written for the tests after MMEditing v0.16.1,
# configs/restorers/edvr/edvrm_x4_g8_600k_reds.py.

exp_name = 'edvrm_x4_g8_600k_reds'

model = dict(
    type='EDVR',
    generator=dict(type='EDVRNet', mid_channels=64, num_blocks_extraction=5),
    pixel_loss=dict(type='CharbonnierLoss', loss_weight=1.0, reduction='sum'))
# at first the attention learns alone
train_cfg = dict(tsa_iter=50000)
test_cfg = dict(metrics=['PSNR'], crop_border=0)

data = dict(
    workers_per_gpu=4,
    train_dataloader=dict(samples_per_gpu=4, drop_last=True),
    train=dict(type='SRREDSDataset', num_input_frames=5, scale=4))

optimizers = dict(generator=dict(type='Adam', lr=2e-4, betas=(0.9, 0.999)))

total_iters = 600000
lr_config = dict(
    policy='CosineRestart',
    by_epoch=False,
    periods=[50000, 100000, 150000, 150000, 150000],
    restart_weights=[1, 1, 1, 1, 1],
    min_lr=1e-7)

checkpoint_config = dict(interval=5000, save_optimizer=True, by_epoch=False)
evaluation = dict(interval=50000, save_image=False, gpu_collect=True)
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
load_from = 'work_dirs/201_EDVRM_woTSA/iter_600000.pth'
resume_from = None
workflow = [('train', 1)]
