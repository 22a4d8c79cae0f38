# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/datasets/unconditional_imgs_flip_lanczos_resize_256x256.py.

dataset_type = 'UnconditionalImageDataset'
data = dict(
    samples_per_gpu=None,
    workers_per_gpu=4,
    train=dict(
        type='RepeatDataset',
        times=100,
        dataset=dict(type=dataset_type, imgs_root=None)),
    val=dict(type=dataset_type, imgs_root=None))
