# StyleGAN2 on scikit-learn's digits. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/digits_32x32.py',
    '../_base_/evaluators/digits.py',
    '../_base_/models/stylegan2_32x32.py',
]

train_cfg = dict(by_epoch=False, max_iters=2000, val_interval=1000)
default_hooks = dict(checkpoint=dict(save_best='FID', rule='less'))

train_dataloader = dict(batch_size=32)

# Lazy regularisation: where a term comes every k-th update, the learning rate
# and the betas are those of k / (k + 1) of an update (paper, appendix B).
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(
        optimizer=dict(
            type='Adam', lr=0.003 * 4 / 5, betas=(0.0, 0.99 ** (4 / 5))
        )
    ),
    discriminator=dict(
        optimizer=dict(
            type='Adam', lr=0.003 * 16 / 17, betas=(0.0, 0.99 ** (16 / 17))
        )
    ),
)
