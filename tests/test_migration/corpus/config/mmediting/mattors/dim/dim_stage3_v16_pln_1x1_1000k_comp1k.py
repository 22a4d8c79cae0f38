# Written for the tests after MMEditing v0.16.1,
# configs/mattors/dim/dim_stage3_v16_pln_1x1_1000k_comp1k.py.

model = dict(
    type='DIM',
    backbone=dict(type='SimpleEncoderDecoder'),
    refiner=dict(type='PlainRefiner'),
    loss_refine=dict(type='CharbonnierLoss', loss_weight=1.0))
train_cfg = dict(train_backbone=True, train_refiner=True)
test_cfg = dict(refine=True, metrics=['SAD', 'MSE', 'GRAD', 'CONN'])

data = dict(
    workers_per_gpu=4,
    train_dataloader=dict(samples_per_gpu=1, drop_last=True),
    train=dict(type='AdobeComp1kDataset'))

optimizers = dict(type='Adam', lr=0.00001)
lr_config = dict(policy='Fixed')

checkpoint_config = dict(interval=40000, by_epoch=False)
evaluation = dict(interval=40000, save_image=False)
log_config = dict(
    interval=10,
    hooks=[
        dict(type='TextLoggerHook', by_epoch=False),
    ])

total_iters = 1000000
dist_params = dict(backend='nccl')
log_level = 'INFO'
work_dir = './work_dirs/dim_finetune'
load_from = './work_dirs/dim_stage2/latest.pth'  # of the stage before
resume_from = None
workflow = [('train', 1)]
