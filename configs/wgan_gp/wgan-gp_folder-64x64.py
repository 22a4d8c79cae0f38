# WGAN-GP on a folder of yours: give it by
# --cfg-options data_root=DIR. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/image_folder_64x64.py',
    '../_base_/evaluators/swd.py',
    '../_base_/models/wgan_gp_64x64.py',
]

# Updates of the critic; the generator has one for each five.
train_cfg = dict(by_epoch=False, max_iters=200_000, val_interval=10000)
default_hooks = dict(
    checkpoint=dict(interval=10000, save_best='SWD/avg', rule='less')
)
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.0, 0.9))),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.0, 0.9))),
)
custom_hooks = [
    dict(type='AmpMonitorHook'),
    dict(type='StateHook'),
    dict(type='SampleHook', interval=1000, num_samples=64, columns=8),
]
