# pix2pix on two folders of yours, with the settings of the paper: 200 epochs
# of the 400 facades. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/paired_folder_256x256.py',
    '../_base_/evaluators/restoration.py',
    '../_base_/models/pix2pix_256x256.py',
]

train_cfg = dict(by_epoch=False, max_iters=80_000, val_interval=10000)
default_hooks = dict(checkpoint=dict(interval=5000))
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))),
    discriminator=dict(
        optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))
    ),
)
custom_hooks = [
    dict(type='AmpMonitorHook'),
    dict(type='StateHook'),
    dict(type='SampleHook', interval=1000, num_samples=4, columns=4),
]
