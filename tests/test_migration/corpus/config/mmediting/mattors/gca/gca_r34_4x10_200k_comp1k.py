# Written for the tests after MMEditing v0.16.1,
# configs/mattors/gca/gca_r34_4x10_200k_comp1k.py.

model = dict(
    type='GCA',
    backbone=dict(type='SimpleEncoderDecoder'),
    loss_alpha=dict(type='L1Loss'))
train_cfg = dict(train_backbone=True)
test_cfg = dict(metrics=['SAD', 'MSE', 'GRAD', 'CONN'])

data = dict(
    workers_per_gpu=8,
    train_dataloader=dict(samples_per_gpu=10, drop_last=True),
    train=dict(type='AdobeComp1kDataset'))

optimizers = dict(type='Adam', lr=4e-4, betas=[0.5, 0.999])
# up in five thousand iterations, down in all
lr_config = dict(
    policy='CosineAnnealing',
    min_lr=0,
    by_epoch=False,
    warmup='linear',
    warmup_iters=5000,
    warmup_ratio=0.001)

checkpoint_config = dict(interval=2000, by_epoch=False)
evaluation = dict(interval=2000, save_image=False, gpu_collect=False)
log_config = dict(
    interval=10,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
        # dict(type='TensorboardLoggerHook'),
    ])

total_iters = 200000
dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = './work_dirs/gca'
load_from = None
resume_from = None
workflow = [('train', 1)]
