# Written for the tests after MMDetection v2.28.2,
# configs/detr/detr_r50_8x2_150e_coco.py.

_base_ = [
    '../_base_/datasets/coco_detection.py', '../_base_/default_runtime.py'
]
model = dict(
    type='DETR',
    backbone=dict(type='ResNet', depth=50),
    train_cfg=dict(assigner=dict(type='HungarianAssigner')),
    test_cfg=dict(max_per_img=100))
data = dict(samples_per_gpu=2, workers_per_gpu=2)
optimizer = dict(
    type='AdamW',
    lr=0.0001,
    weight_decay=0.0001,
    paramwise_cfg=dict(
        custom_keys={'backbone': dict(lr_mult=0.1, decay_mult=1.0)}))
optimizer_config = dict(grad_clip=dict(max_norm=0.1, norm_type=2))
lr_config = dict(policy='step', step=[100])
runner = dict(type='EpochBasedRunner', max_epochs=150)
