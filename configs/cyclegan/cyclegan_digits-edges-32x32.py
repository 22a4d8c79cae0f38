# CycleGAN between digits and outlines of other digits. Float32 as it stands;
# add --amp.
_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/datasets/digits_unpaired_32x32.py',
    '../_base_/models/cyclegan_32x32.py',
]

train_cfg = dict(by_epoch=False, max_iters=800)
model = dict(ema_config=dict(momentum=0.01))
optim_wrapper = dict(
    constructor='OptimWrapperConstructor',
    generator=dict(
        modules=['generator_ab', 'generator_ba'],
        optimizer=dict(type='Adam', lr=1e-3, betas=(0.5, 0.999)),
    ),
    discriminator=dict(
        modules=['discriminator_a', 'discriminator_b'],
        optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999)),
    ),
)
custom_hooks = [dict(type='AmpMonitorHook'), dict(type='StateHook')]

# Without a validation.
val_dataloader = None
val_cfg = None
test_dataloader = None
test_cfg = None
