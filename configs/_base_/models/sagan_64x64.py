# SAGAN (Zhang et al., 2019) for 64x64 images in colour, without classes. With
# `num_classes` both networks have as many.
model = dict(
    type='ImageGAN',
    noise_size=128,
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(type='SAGANGenerator', image_size=64, attention_size=32),
    discriminator=dict(
        type='SAGANDiscriminator', image_size=64, attention_size=32
    ),
    gan_loss=dict(type='GANLoss', gan_type='hinge'),
    ema_config=dict(momentum=0.001),
    memory_format='channels_last',
)
