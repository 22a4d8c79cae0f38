# WGAN-GP (Gulrajani et al., 2017) for grey 32x32 images, with few channels.
model = dict(
    type='ImageGAN',
    noise_size=128,
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(
        type='WGANGPGenerator',
        image_size=32,
        out_channels=1,
        base_channels=32,
        noise_size=128,
    ),
    discriminator=dict(
        type='WGANGPCritic', image_size=32, in_channels=1, base_channels=32
    ),
    gan_loss=dict(type='GANLoss', gan_type='wgan'),
    disc_regularizers=[dict(type='WGANGP', weight=10.0)],
    discriminator_steps=5,
    ema_config=dict(momentum=0.02),
    memory_format='channels_last',
)
