# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/datasets/imagenet_noaug_128.py.

dataset_type = 'mmcls.ImageNet'
train_pipeline = [dict(type='LoadImageFromFile')]
data = dict(
    samples_per_gpu=None,
    workers_per_gpu=2,
    train=dict(
        type=dataset_type,
        data_prefix='data/imagenet/train',
        pipeline=train_pipeline),
    val=dict(
        type=dataset_type,
        data_prefix='data/imagenet/val',
        pipeline=train_pipeline))
