# Written for the tests after MMGeneration v0.7.3,
# configs/dcgan/dcgan_lsun-bedroom_64x64_b128x1_5e.py.

_base_ = [
    '../_base_/models/dcgan/dcgan_64x64.py',
    '../_base_/datasets/unconditional_imgs_64x64.py',
    '../_base_/default_runtime.py'
]

data = dict(
    samples_per_gpu=128, train=dict(imgs_root='data/lsun/bedroom_train'))

lr_config = None
checkpoint_config = dict(interval=100000, by_epoch=False)
custom_hooks = [
    dict(
        type='VisualizeUnconditionalSamples',
        output_dir='training_samples',
        interval=10000)
]

total_iters = 1500002

metrics = dict(ms_ssim10k=dict(type='MS_SSIM', num_images=10000))
