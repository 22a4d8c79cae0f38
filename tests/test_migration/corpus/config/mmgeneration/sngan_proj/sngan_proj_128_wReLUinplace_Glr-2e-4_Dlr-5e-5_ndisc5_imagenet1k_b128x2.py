# Written for the tests after MMGeneration v0.7.3,
# configs/sngan_proj/
# sngan_proj_128_wReLUinplace_Glr-2e-4_Dlr-5e-5_ndisc5_imagenet1k_b128x2.py.

_base_ = [
    '../_base_/models/sngan_proj/sngan_proj_128x128.py',
    '../_base_/datasets/imagenet_128.py', '../_base_/default_runtime.py'
]

num_classes = 1000
init_cfg = dict(type='studio')
model = dict(
    num_classes=num_classes,
    generator=dict(num_classes=num_classes, init_cfg=init_cfg),
    discriminator=dict(num_classes=num_classes, init_cfg=init_cfg))

n_disc = 5
train_cfg = dict(disc_steps=n_disc)
lr_config = None

checkpoint_config = dict(interval=50000, by_epoch=False, max_keep_ckpts=20)
custom_hooks = [
    dict(
        type='VisualizeUnconditionalSamples',
        output_dir='training_samples',
        interval=5000)
]

log_config = dict(interval=100, hooks=[dict(type='TextLoggerHook')])

# more often towards the end
evaluation = dict(
    type='GenerativeEvalHook',
    interval=dict(milestones=[800000], interval=[10000, 4000]),
    metrics=[
        dict(type='FID', num_images=50000, bgr2rgb=True),
        dict(type='IS', num_images=50000)
    ],
    best_metric=['fid', 'is'],
    sample_kwargs=dict(sample_model='orig'))

total_iters = 500000 * n_disc
use_ddp_wrapper = True
find_unused_parameters = False

runner = dict(
    type='DynamicIterBasedRunner',
    is_dynamic_ddp=False,
    pass_training_status=True)

optimizer = dict(
    generator=dict(type='Adam', lr=0.0002, betas=(0.0, 0.999)),
    discriminator=dict(type='Adam', lr=0.00005, betas=(0.0, 0.999)))

data = dict(samples_per_gpu=128)
