# Written for the tests after MMClassification v0.25.0,
# configs/_base_/datasets/imagenet_bs64_swin_224.py.

dataset_type = 'ImageNet'
data = dict(
    samples_per_gpu=64,
    workers_per_gpu=8,
    train=dict(type=dataset_type, data_prefix='data/imagenet/train'))
evaluation = dict(interval=10, metric='accuracy')
