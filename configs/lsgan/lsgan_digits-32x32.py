# LSGAN on scikit-learn's digits. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/digits_32x32.py',
    '../_base_/evaluators/digits.py',
    '../_base_/models/lsgan_32x32.py',
]

train_cfg = dict(by_epoch=False, max_iters=1500, val_interval=500)
default_hooks = dict(checkpoint=dict(save_best='FID', rule='less'))

# Faster than the paper's: the run is short.
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.99))),
    discriminator=dict(
        optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.99))
    ),
)
