# CycleGAN on two folders of yours, with the settings of the paper: 200 epochs
# of the 1,000 or so pictures of horses. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/unpaired_folders_256x256.py',
    '../_base_/evaluators/unpaired.py',
    '../_base_/models/cyclegan_256x256.py',
]

train_cfg = dict(by_epoch=False, max_iters=200_000, val_interval=10000)
default_hooks = dict(
    checkpoint=dict(
        interval=10_000,
        save_best='SWD/avg',
        rule='less',
    )
)
# Constant in the first half, then down to 0.
param_scheduler = dict(
    type='LinearLR',
    start_factor=1.0,
    end_factor=0.0,
    begin=100_000,
    end=200_000,
    by_epoch=False,
)
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(
        modules=['generator_ab', 'generator_ba'],
        optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)),
    ),
    discriminator=dict(
        modules=['discriminator_a', 'discriminator_b'],
        optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)),
    ),
)
custom_hooks = [
    dict(type='AmpMonitorHook'),
    dict(type='StateHook'),
    dict(type='SampleHook', interval=1000, num_samples=4, columns=4),
]
