# WGAN-GP (Gulrajani et al., 2017) for 64x64 images in colour.
model = dict(
    type='ImageGAN',
    noise_size=128,
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(type='WGANGPGenerator', image_size=64),
    discriminator=dict(type='WGANGPCritic', image_size=64),
    gan_loss=dict(type='GANLoss', gan_type='wgan'),
    disc_regularizers=[dict(type='WGANGP', weight=10.0)],
    discriminator_steps=5,
    ema_config=dict(momentum=0.002),
    memory_format='channels_last',
)
