# CycleGAN (Zhu et al., 2017) for grey 32x32 images, made small.
model = dict(
    type='CycleGAN',
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(
        type='ResNetGenerator',
        in_channels=1,
        out_channels=1,
        base_channels=16,
        num_blocks=3,
    ),
    # It sees patches of 34x34.
    discriminator=dict(
        type='PatchDiscriminator',
        in_channels=1,
        base_channels=16,
        num_layers=2,
        norm_cfg=dict(type='IN'),
    ),
    gan_loss=dict(type='GANLoss', gan_type='lsgan'),
    cycle_weight=10.0,
    identity_weight=0.5,
    pool_size=50,
    memory_format='channels_last',
)
