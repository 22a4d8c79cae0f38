_base_ = ['_base_/runtime.py', '_base_/data.py']
model = dict(type='GAN')
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=1e-3)),
    discriminator=dict(
        type='OptimWrapper',
        accumulative_counts=2,
        optimizer=dict(type='Adam', lr=1e-3),
    ),
)
train_dataloader = dict(
    sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True)
)
train_cfg = dict(by_epoch=False, max_iters=8, val_interval=4)
log_processor = dict(by_epoch=False)
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=4))
custom_hooks = [dict(type='DtypeHook', module='generator.0')]
val_evaluator = dict(type='Brightness')
