# WGAN-GP on scikit-learn's digits. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/digits_32x32.py',
    '../_base_/evaluators/digits.py',
    '../_base_/models/wgan_gp_32x32.py',
]

# Updates of the critic; the generator has one for each five.
train_cfg = dict(by_epoch=False, max_iters=2500, val_interval=1250)
default_hooks = dict(checkpoint=dict(save_best='FID', rule='less'))

train_dataloader = dict(batch_size=32)

# Faster than the paper's 0.0001: the run is short.
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.0, 0.9))),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.0, 0.9))),
)
