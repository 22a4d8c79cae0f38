# LSGAN on a folder of yours: give it by
# --cfg-options data_root=DIR. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/image_folder_64x64.py',
    '../_base_/evaluators/swd.py',
    '../_base_/models/lsgan_64x64.py',
]

train_cfg = dict(by_epoch=False, max_iters=50_000, val_interval=5000)
default_hooks = dict(
    checkpoint=dict(interval=5000, save_best='SWD/avg', rule='less')
)
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999))),
    discriminator=dict(
        optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999))
    ),
)
custom_hooks = [
    dict(type='AmpMonitorHook'),
    dict(type='StateHook'),
    dict(type='SampleHook', interval=500, num_samples=64, columns=8),
]
