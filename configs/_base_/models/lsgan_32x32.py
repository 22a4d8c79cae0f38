# LSGAN (Mao et al., 2017) for grey 32x32 images, with few channels.
model = dict(
    type='ImageGAN',
    noise_size=128,
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(
        type='LSGANGenerator',
        image_size=32,
        out_channels=1,
        base_channels=16,
        noise_size=128,
    ),
    discriminator=dict(
        type='LSGANDiscriminator',
        image_size=32,
        in_channels=1,
        base_channels=16,
    ),
    gan_loss=dict(type='GANLoss', gan_type='lsgan'),
    ema_config=dict(momentum=0.03),
    memory_format='channels_last',
)
