# A class-conditional BigGAN on scikit-learn's digits, in mixed precision with
# gradient accumulation: 8 micro-batches of 8 make a batch of 64.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/digits_32x32.py',
    '../_base_/evaluators/digits.py',
    '../_base_/models/biggan_32x32.py',
]

train_cfg = dict(by_epoch=False, max_iters=16000, val_interval=4000)
default_hooks = dict(checkpoint=dict(save_best='FID', rule='less'))
train_dataloader = dict(batch_size=8)

optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(
        accumulative_counts=8,
        optimizer=dict(type='Adam', lr=0.0001, betas=(0.0, 0.999), eps=1e-06),
        type='AmpOptimWrapper',
        loss_scale='dynamic',
    ),
    discriminator=dict(
        accumulative_counts=8,
        optimizer=dict(type='Adam', lr=0.0004, betas=(0.0, 0.999), eps=1e-06),
        type='AmpOptimWrapper',
        loss_scale='dynamic',
    ),
)

custom_hooks = [
    dict(type='AmpMonitorHook'),
    dict(type='StateHook'),
    # One column a class.
    dict(type='SampleHook', interval=1600, num_samples=80, columns=10),
]
