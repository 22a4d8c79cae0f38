# Written for the tests after MMGeneration v0.7.3,
# configs/sagan/
# sagan_128_woReLUinplace_noaug_bigGAN_Glr-1e-4_Dlr-4e-4_ndisc1_imagenet1k_b32x8.py.

_base_ = [
    '../_base_/models/sagan/sagan_128x128.py',
    '../_base_/datasets/imagenet_noaug_128.py', '../_base_/default_runtime.py'
]

init_cfg = dict(type='BigGAN')
model = dict(
    num_classes=1000,
    generator=dict(num_classes=1000, init_cfg=init_cfg, sn_eps=1e-8),
    discriminator=dict(num_classes=1000, init_cfg=init_cfg, sn_eps=1e-8),
)

n_disc = 1
# the first key is misspelt there too, and read by nobody
train_cfg = dict(disc_step=n_disc, use_ema=True)

lr_config = None
checkpoint_config = dict(interval=10000, by_epoch=False, max_keep_ckpts=20)
custom_hooks = [
    dict(
        type='VisualizeUnconditionalSamples',
        output_dir='training_samples',
        interval=1000),
    dict(
        type='ExponentialMovingAverageHook',
        module_keys=('generator_ema'),
        interval=n_disc,
        start_iter=2000 * n_disc,
        interp_cfg=dict(momentum=0.999),
        priority='VERY_HIGH')
]

evaluation = dict(
    type='GenerativeEvalHook',
    interval=10000,
    metrics=[
        dict(type='FID', num_images=50000, bgr2rgb=True),
        dict(type='IS', num_images=50000)
    ],
    best_metric=['fid', 'is'],
    sample_kwargs=dict(sample_model='ema'))

total_iters = 1000000 * n_disc
use_ddp_wrapper = True
find_unused_parameters = False

runner = dict(
    type='DynamicIterBasedRunner',
    is_dynamic_ddp=False,
    pass_training_status=True)

optimizer = dict(
    generator=dict(type='Adam', lr=0.0001, betas=(0.0, 0.999)),
    discriminator=dict(type='Adam', lr=0.0004, betas=(0.0, 0.999)))

data = dict(samples_per_gpu=32)
