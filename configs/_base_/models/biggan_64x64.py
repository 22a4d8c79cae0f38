# BigGAN (Brock et al., 2019) for classes of 64x64 images in colour, with a
# third of the paper's channels. `num_classes` is that of both networks too.
model = dict(
    type='ImageGAN',
    noise_size=120,
    num_classes=10,
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(
        type='BigGANGenerator',
        image_size=64,
        base_channels=32,
        attention_size=32,
    ),
    discriminator=dict(
        type='BigGANDiscriminator',
        image_size=64,
        base_channels=32,
        attention_size=32,
    ),
    gan_loss=dict(type='GANLoss', gan_type='hinge'),
    ema_config=dict(momentum=0.0001, start_iter=20_000),
    memory_format='channels_last',
)
