# DCGAN (Radford et al., 2016) for grey 32x32 images.
model = dict(
    type='ImageGAN',
    noise_size=100,
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(
        type='DCGANGenerator', image_size=32, out_channels=1, base_channels=32
    ),
    discriminator=dict(
        type='DCGANDiscriminator',
        image_size=32,
        in_channels=1,
        base_channels=32,
    ),
    gan_loss=dict(type='GANLoss', gan_type='vanilla'),
    memory_format='channels_last',
)
