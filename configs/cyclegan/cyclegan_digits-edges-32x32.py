# CycleGAN between digits and outlines of other digits. Float32 as it stands;
# add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/digits_unpaired_32x32.py',
    '../_base_/evaluators/unpaired.py',
    '../_base_/models/cyclegan_32x32.py',
]

train_cfg = dict(by_epoch=False, max_iters=800, val_interval=400)
default_hooks = dict(checkpoint=dict(save_best='SWD/avg', rule='less'))
model = dict(ema_config=dict(momentum=0.01))
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(
        modules=['generator_ab', 'generator_ba'],
        optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)),
    ),
    discriminator=dict(
        modules=['discriminator_a', 'discriminator_b'],
        optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)),
    ),
)
custom_hooks = [
    dict(type='AmpMonitorHook'),
    dict(type='StateHook'),
    dict(type='SampleHook', interval=400, num_samples=16, columns=4),
]
