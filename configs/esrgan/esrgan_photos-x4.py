# ESRGAN on two photographs: a pixel loss, a relativistic adversarial loss, and
# no weights to download. Float32 as it stands; add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/photos_x4.py',
    '../_base_/evaluators/super_resolution_x4.py',
    '../_base_/models/esrgan_x4.py',
]

# The pixel loss alone, and then all of them: the two stages of the paper.
train_cfg = dict(by_epoch=False, max_iters=2_000, val_interval=500)
# Down to almost nothing, without which an image is noisier than bicubic.
param_scheduler = [
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=1_500,
        T_max=1_500,
        eta_min=1e-4,
        by_epoch=False,
    ),
    dict(
        type='CosineAnnealingLR',
        begin=1_500,
        end=2_000,
        T_max=500,
        eta_min=1e-6,
        by_epoch=False,
    ),
]
default_hooks = dict(checkpoint=dict(save_best='SWD/avg', rule='less'))
train_dataloader = dict(batch_size=8)
# Much smaller than in the paper. Without a perceptual loss the pixel loss has
# to do its work, and the adversarial one weighs more beside it.
model = dict(
    generator=dict(base_channels=32, num_blocks=2, growth_channels=16),
    discriminator=dict(base_channels=8, hidden_channels=64),
    gan_loss=dict(loss_weight=0.05),
    pixel_weight=1.0,
    pixel_updates=1_500,
    ema_config=dict(momentum=0.02),
)
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.9, 0.999))),
    discriminator=dict(
        optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999))
    ),
)
custom_hooks = [
    dict(type='AmpMonitorHook'),
    dict(type='StateHook'),
    dict(type='SampleHook', interval=500, num_samples=4, columns=1),
]
