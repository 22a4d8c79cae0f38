# SRGAN on a folder of yours, with the settings of the paper (VGG54) and,
# beside them, a small pixel loss. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/sr_folder_x4.py',
    '../_base_/evaluators/super_resolution_x4.py',
    '../_base_/models/srgan_x4.py',
]

train_cfg = dict(by_epoch=False, max_iters=200_000, val_interval=10000)
default_hooks = dict(
    checkpoint=dict(
        interval=10_000,
        save_best='PSNR',
        rule='greater',
    )
)
# A tenth of the rate in the second half.
param_scheduler = dict(
    type='MultiStepLR', milestones=[100_000], gamma=0.1, by_epoch=False
)
model = dict(
    # 1e-2 of images in [0, 1]: in [-1, 1] squares are four times as large.
    pixel_weight=2.5e-3,
    perceptual_loss=dict(
        type='PerceptualLoss',
        layer_weights=dict(relu5_4=1.0),
        weights='data/vgg19-dcbb9e9d.pth',
        criterion='mse',
        loss_weight=0.006,
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
