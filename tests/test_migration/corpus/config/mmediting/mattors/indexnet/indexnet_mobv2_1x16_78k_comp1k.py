# Written for the tests after MMEditing v0.16.1,
# configs/mattors/indexnet/indexnet_mobv2_1x16_78k_comp1k.py.

model = dict(
    type='IndexNet',
    backbone=dict(type='SimpleEncoderDecoder'),
    loss_alpha=dict(type='CharbonnierLoss', loss_weight=0.5))
train_cfg = dict(train_backbone=True)
test_cfg = dict(metrics=['SAD', 'MSE', 'GRAD', 'CONN'])

data = dict(
    workers_per_gpu=8,
    train_dataloader=dict(samples_per_gpu=16, drop_last=True),
    train=dict(type='AdobeComp1kDataset'))

# the pretrained layers hardly move
optimizers = dict(
    constructor='DefaultOptimizerConstructor',
    type='Adam',
    lr=1e-2,
    paramwise_cfg=dict(custom_keys={'encoder.layers': dict(lr_mult=0.01)}))
lr_config = dict(policy='Step', step=[52000, 67600], gamma=0.1, by_epoch=False)

checkpoint_config = dict(interval=2600, by_epoch=False)
evaluation = dict(interval=2600, save_image=False)
log_config = dict(
    interval=10,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
    ])

total_iters = 78000
dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = './work_dirs/indexnet'
load_from = None
resume_from = None
workflow = [('train', 1)]
