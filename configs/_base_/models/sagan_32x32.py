# SAGAN (Zhang et al., 2019) for the ten classes of grey 32x32 digits, with
# few channels.
model = dict(
    type='ImageGAN',
    noise_size=64,
    num_classes=10,
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(
        type='SAGANGenerator',
        image_size=32,
        num_classes=10,
        out_channels=1,
        base_channels=16,
        noise_size=64,
        attention_size=16,
    ),
    discriminator=dict(
        type='SAGANDiscriminator',
        image_size=32,
        num_classes=10,
        in_channels=1,
        base_channels=16,
        attention_size=16,
    ),
    gan_loss=dict(type='GANLoss', gan_type='hinge'),
    ema_config=dict(momentum=0.01),
    memory_format='channels_last',
)
