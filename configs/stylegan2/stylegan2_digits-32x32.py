# StyleGAN2 on scikit-learn's digits. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/digits_32x32.py',
    '../_base_/evaluators/digits.py',
    '../_base_/models/stylegan2_32x32.py',
]

train_cfg = dict(by_epoch=False, max_iters=5000, val_interval=1000)
default_hooks = dict(checkpoint=dict(save_best='FID', rule='less'))

train_dataloader = dict(batch_size=32)

# The paper's rates as they are. Its correction of them by k / (k + 1) makes up
# for lazy terms that have steps of their own (appendix B); here a term that
# comes every k-th update is part of that update's step.
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=0.003, betas=(0.0, 0.99))),
    discriminator=dict(
        optimizer=dict(type='Adam', lr=0.003, betas=(0.0, 0.99))
    ),
)
