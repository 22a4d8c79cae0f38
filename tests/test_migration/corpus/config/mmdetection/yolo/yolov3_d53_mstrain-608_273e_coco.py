# Written for the tests after MMDetection v2.28.2,
# configs/yolo/yolov3_d53_mstrain-608_273e_coco.py.

_base_ = '../_base_/default_runtime.py'
model = dict(
    type='YOLOV3',
    backbone=dict(type='Darknet', depth=53, out_indices=(3, 4, 5)),
    train_cfg=dict(assigner=dict(type='GridAssigner', pos_iou_thr=0.5)),
    test_cfg=dict(nms_pre=1000))
data = dict(
    samples_per_gpu=8,
    workers_per_gpu=4,
    train=dict(type='CocoDataset'),
    val=dict(type='CocoDataset'))
optimizer = dict(type='SGD', lr=0.001, momentum=0.9, weight_decay=0.0005)
optimizer_config = dict(grad_clip=dict(max_norm=35, norm_type=2))
lr_config = dict(
    policy='step',
    warmup='linear',
    warmup_iters=2000,  # Darknet calls it burn-in
    warmup_ratio=0.1,
    step=[218, 246])
runner = dict(type='EpochBasedRunner', max_epochs=273)
evaluation = dict(interval=1, metric=['bbox'])

auto_scale_lr = dict(base_batch_size=64)
