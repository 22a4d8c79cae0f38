# BigGAN on a folder of yours, whose folders are classes: give both by
# --cfg-options data_root=DIR model.num_classes=NUMBER. Float32 as it stands;
# add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/image_folder_64x64.py',
    '../_base_/evaluators/swd.py',
    '../_base_/models/biggan_64x64.py',
]

train_cfg = dict(by_epoch=False, max_iters=100_000, val_interval=10000)
default_hooks = dict(
    checkpoint=dict(interval=10000, save_best='SWD/avg', rule='less')
)
classes = dict(dataset=dict(with_labels=True))
train_dataloader = classes
val_dataloader = classes
test_dataloader = classes
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.0, 0.999))),
    discriminator=dict(
        optimizer=dict(type='Adam', lr=4e-4, betas=(0.0, 0.999))
    ),
)
custom_hooks = [
    dict(type='AmpMonitorHook'),
    dict(type='StateHook'),
    dict(type='SampleHook', interval=1000, num_samples=64, columns=8),
]
