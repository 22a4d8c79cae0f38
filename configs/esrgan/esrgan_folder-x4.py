# ESRGAN on a folder of yours, with the settings of the paper, but for patches
# of 96x96 instead of 128x128. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/sr_folder_x4.py',
    '../_base_/evaluators/super_resolution_x4.py',
    '../_base_/models/esrgan_x4.py',
]

train_cfg = dict(by_epoch=False, max_iters=400_000, val_interval=10000)
default_hooks = dict(
    checkpoint=dict(
        interval=10_000,
        save_best='PSNR',
        rule='greater',
    )
)
# Halved four times.
param_scheduler = dict(
    type='MultiStepLR',
    milestones=[50_000, 100_000, 200_000, 300_000],
    gamma=0.5,
    by_epoch=False,
)
model = dict(
    perceptual_loss=dict(
        type='PerceptualLoss',
        layer_weights=dict(conv5_4=1.0),
        weights='data/vgg19-dcbb9e9d.pth',
        criterion='l1',
    ),
)
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999))),
    discriminator=dict(
        optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999))
    ),
)
custom_hooks = [
    dict(type='AmpMonitorHook'),
    dict(type='StateHook'),
    dict(type='SampleHook', interval=1000, num_samples=4, columns=4),
]
