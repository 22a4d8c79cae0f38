# Written for the tests after MMGeneration v0.7.3,
# configs/sagan/sagan_32_wReLUinplace_lr-2e-4_ndisc5_cifar10_b64x1.py.

_base_ = [
    '../_base_/models/sagan/sagan_32x32.py',
    '../_base_/datasets/cifar10_nopad.py', '../_base_/default_runtime.py'
]

init_cfg = dict(type='studio')
model = dict(
    num_classes=10,
    generator=dict(num_classes=10, init_cfg=init_cfg),
    discriminator=dict(num_classes=10, init_cfg=init_cfg),
)

lr_config = None
checkpoint_config = dict(interval=10000, by_epoch=False, max_keep_ckpts=20)
custom_hooks = [
    dict(
        type='VisualizeUnconditionalSamples',
        output_dir='training_samples',
        interval=1000)
]

evaluation = dict(
    type='GenerativeEvalHook',
    interval=10000,
    metrics=[
        dict(type='FID', num_images=50000, bgr2rgb=True),
        dict(type='IS', num_images=50000)
    ],
    best_metric=['fid', 'is'],
    sample_kwargs=dict(sample_model='orig'))

# a hundred thousand turns of the generator
n_disc = 5
total_iters = 100000 * n_disc
use_ddp_wrapper = True
find_unused_parameters = False

runner = dict(
    type='DynamicIterBasedRunner',
    is_dynamic_ddp=False,
    pass_training_status=True)

optimizer = dict(
    generator=dict(type='Adam', lr=0.0002, betas=(0.5, 0.999)),
    discriminator=dict(type='Adam', lr=0.0002, betas=(0.5, 0.999)))

data = dict(samples_per_gpu=64)
