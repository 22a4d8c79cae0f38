# StyleGAN2 (Karras et al., 2020) for 64x64 images in colour, with the settings
# that StyleGAN2-ADA takes for small ones: half of the channels, two layers of
# the mapping network, R1 by 0.0002 * size ** 2 / batch, and an average whose
# half-life is 10,000 images, at a batch of 32.
model = dict(
    type='StyleGAN2',
    noise_size=512,
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(
        type='StyleGAN2Generator',
        image_size=64,
        num_mapping_layers=2,
        channel_base=16384,
        conv_clamp=256.0,
    ),
    discriminator=dict(
        type='StyleGAN2Discriminator',
        image_size=64,
        channel_base=16384,
        conv_clamp=256.0,
    ),
    gan_loss=dict(type='GANLoss', gan_type='logistic'),
    disc_regularizers=[dict(type='R1', weight=0.0256, interval=16)],
    gen_regularizers=[
        dict(type='PathLength', weight=2.0, interval=4, batch_shrink=2)
    ],
    ema_config=dict(momentum=0.0022),
    memory_format='channels_last',
)
