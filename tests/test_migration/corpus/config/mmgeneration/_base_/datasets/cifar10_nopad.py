# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/datasets/cifar10_nopad.py.

dataset_type = 'mmcls.CIFAR10'
data = dict(
    samples_per_gpu=None,
    workers_per_gpu=4,
    train=dict(type=dataset_type, data_prefix='data/cifar10'),
    val=dict(type=dataset_type, data_prefix='data/cifar10'))
