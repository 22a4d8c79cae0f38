# Written for the tests after MMEditing v0.16.1,
# configs/mattors/dim/dim_stage1_v16_1x1_1000k_comp1k.py.

model = dict(
    type='DIM',
    backbone=dict(type='SimpleEncoderDecoder'),
    pretrained='./weights/vgg_state_dict.pth',
    loss_alpha=dict(type='CharbonnierLoss', loss_weight=0.5),
    loss_comp=dict(type='CharbonnierCompLoss', loss_weight=0.5))
train_cfg = dict(train_backbone=True, train_refiner=False)
test_cfg = dict(refine=False, metrics=['SAD', 'MSE', 'GRAD', 'CONN'])

data = dict(
    workers_per_gpu=4,
    train_dataloader=dict(samples_per_gpu=1, drop_last=True),
    train=dict(type='AdobeComp1kDataset'))

optimizers = dict(type='Adam', lr=0.00001)
# without by_epoch, as iterations are counted anyway
lr_config = dict(policy='Fixed')

checkpoint_config = dict(interval=40000, by_epoch=False)
evaluation = dict(interval=40000, save_image=False)
log_config = dict(
    interval=10,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
        # dict(type='TensorboardLoggerHook'),
    ])

total_iters = 1000000
dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = './work_dirs/dim_stage1'
load_from = None
resume_from = None
workflow = [('train', 1)]
