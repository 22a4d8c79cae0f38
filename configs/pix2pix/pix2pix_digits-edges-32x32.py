# pix2pix from outlines of digits to digits. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/digits_edges_32x32.py',
    '../_base_/evaluators/restoration.py',
    '../_base_/models/pix2pix_32x32.py',
]

train_cfg = dict(by_epoch=False, max_iters=1000, val_interval=500)
default_hooks = dict(checkpoint=dict(save_best='PSNR', rule='greater'))
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999))),
    discriminator=dict(
        optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))
    ),
)
custom_hooks = [
    dict(type='AmpMonitorHook'),
    dict(type='StateHook'),
    dict(type='SampleHook', interval=500, num_samples=16, columns=4),
]
