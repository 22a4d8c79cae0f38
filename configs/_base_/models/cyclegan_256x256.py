# CycleGAN (Zhu et al., 2017) for 256x256 images in colour.
model = dict(
    type='CycleGAN',
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(type='ResNetGenerator', num_blocks=9),
    discriminator=dict(
        type='PatchDiscriminator', in_channels=3, norm_cfg=dict(type='IN')
    ),
    gan_loss=dict(type='GANLoss', gan_type='lsgan'),
    cycle_weight=10.0,
    identity_weight=0.5,
    pool_size=50,
    memory_format='channels_last',
)
