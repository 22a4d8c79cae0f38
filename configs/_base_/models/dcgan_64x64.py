# DCGAN (Radford et al., 2016) for 64x64 images in colour, as in the paper but
# for half of its channels.
model = dict(
    type='ImageGAN',
    noise_size=100,
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(type='DCGANGenerator', image_size=64),
    discriminator=dict(type='DCGANDiscriminator', image_size=64),
    gan_loss=dict(type='GANLoss', gan_type='vanilla'),
    ema_config=dict(momentum=0.002),
    memory_format='channels_last',
)
