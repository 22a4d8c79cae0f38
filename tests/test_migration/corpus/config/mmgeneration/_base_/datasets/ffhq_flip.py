# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/datasets/ffhq_flip.py.

dataset_type = 'UnconditionalImageDataset'
train_pipeline = [dict(type='LoadImageFromFile', key='real_img')]
# the user sets samples_per_gpu and imgs_root
data = dict(
    samples_per_gpu=None,
    workers_per_gpu=4,
    train=dict(
        type='RepeatDataset',
        times=100,
        dataset=dict(
            type=dataset_type, imgs_root=None, pipeline=train_pipeline)),
    val=dict(type=dataset_type, imgs_root=None, pipeline=train_pipeline))
