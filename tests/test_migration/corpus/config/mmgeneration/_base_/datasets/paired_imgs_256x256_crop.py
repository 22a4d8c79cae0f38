# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/datasets/paired_imgs_256x256_crop.py.

dataroot = './data/pix2pix'
data = dict(
    samples_per_gpu=1,
    workers_per_gpu=4,
    drop_last=True,
    train=dict(type='PairedImageDataset', dataroot=dataroot),
    val=dict(type='PairedImageDataset', dataroot=dataroot, test_mode=True))
