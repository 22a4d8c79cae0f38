# LSGAN (Mao et al., 2017) for 64x64 images in colour.
model = dict(
    type='ImageGAN',
    noise_size=1024,
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(type='LSGANGenerator', image_size=64),
    discriminator=dict(type='LSGANDiscriminator', image_size=64),
    gan_loss=dict(type='GANLoss', gan_type='lsgan'),
    ema_config=dict(momentum=0.002),
    memory_format='channels_last',
)
