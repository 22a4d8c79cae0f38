# Written for the tests after MMClassification v0.25.0,
# configs/_base_/datasets/imagenet_bs32_pil_resize.py.

dataset_type = 'ImageNet'
data = dict(
    samples_per_gpu=32,
    workers_per_gpu=2,
    train=dict(type=dataset_type, data_prefix='data/imagenet/train'))
evaluation = dict(interval=1, metric='accuracy')
