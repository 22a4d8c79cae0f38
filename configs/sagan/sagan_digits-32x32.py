# A class-conditional SAGAN on scikit-learn's digits. Float32 as it stands; add
# --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/digits_32x32.py',
    '../_base_/evaluators/digits.py',
    '../_base_/models/sagan_32x32.py',
]

train_cfg = dict(by_epoch=False, max_iters=1500, val_interval=750)
default_hooks = dict(checkpoint=dict(save_best='FID', rule='less'))

# The discriminator learns four times as fast: the paper's time scales.
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.0, 0.9))),
    discriminator=dict(optimizer=dict(type='Adam', lr=4e-4, betas=(0.0, 0.9))),
)

custom_hooks = [
    dict(type='AmpMonitorHook'),
    dict(type='StateHook'),
    # One column a class.
    dict(type='SampleHook', interval=100, num_samples=80, columns=10),
]
