# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/datasets/imagenet_noaug_64.py.

dataset_type = 'mmcls.ImageNet'
data = dict(
    samples_per_gpu=None,
    workers_per_gpu=2,
    train=dict(type=dataset_type, data_prefix='data/imagenet/train'))
