# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/datasets/unpaired_imgs_256x256.py.

domain_a = None  # the user sets both
domain_b = None
data = dict(
    samples_per_gpu=1,
    workers_per_gpu=4,
    drop_last=True,
    val_samples_per_gpu=1,
    train=dict(type='UnpairedImageDataset', dataroot=None),
    val=dict(type='UnpairedImageDataset', dataroot=None, test_mode=True))
