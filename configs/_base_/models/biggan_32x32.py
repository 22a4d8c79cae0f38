# BigGAN (Brock et al., 2019) for the ten classes of grey 32x32 digits: the
# paper's blocks, shared embedding and hierarchical latents, made small.
model = dict(
    type='ImageGAN',
    noise_size=64,
    num_classes=10,
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(
        type='BigGANGenerator',
        image_size=32,
        num_classes=10,
        out_channels=1,
        base_channels=8,
        noise_size=64,
        embedding_size=32,
        attention_size=16,
    ),
    discriminator=dict(
        type='BigGANDiscriminator',
        image_size=32,
        num_classes=10,
        in_channels=1,
        base_channels=8,
        attention_size=16,
    ),
    gan_loss=dict(type='GANLoss', gan_type='hinge'),
    ema_config=dict(momentum=0.01),
    memory_format='channels_last',
)
