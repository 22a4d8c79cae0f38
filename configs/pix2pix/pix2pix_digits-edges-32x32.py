# pix2pix from outlines of digits to digits. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/digits_edges_32x32.py',
    '../_base_/models/pix2pix_32x32.py',
]

train_cfg = dict(by_epoch=False, max_iters=1000)
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999))),
    discriminator=dict(
        optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))
    ),
)
custom_hooks = [dict(type='AmpMonitorHook'), dict(type='StateHook')]

# Without a validation.
val_dataloader = None
val_cfg = None
test_dataloader = None
test_cfg = None
