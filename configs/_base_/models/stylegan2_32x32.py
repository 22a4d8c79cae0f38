# StyleGAN2 (Karras et al., 2020) for grey 32x32 images: configuration F's
# parts, with few channels. The clamp of the convolutions is StyleGAN2-ADA's,
# for float16. The mapping network learns at a hundredth of the rate: in a
# short run many layers of it would stay as they began.
model = dict(
    type='StyleGAN2',
    noise_size=64,
    mixing_prob=0.5,
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(
        type='StyleGAN2Generator',
        image_size=32,
        out_channels=1,
        noise_size=64,
        style_size=64,
        num_mapping_layers=2,
        channel_base=512,
        channel_max=64,
        conv_clamp=256.0,
    ),
    discriminator=dict(
        type='StyleGAN2Discriminator',
        image_size=32,
        in_channels=1,
        channel_base=512,
        channel_max=64,
        conv_clamp=256.0,
    ),
    gan_loss=dict(type='GANLoss', gan_type='logistic'),
    disc_regularizers=[dict(type='R1', weight=1.0, interval=16)],
    gen_regularizers=[
        dict(type='PathLength', weight=0.5, interval=8, batch_shrink=2)
    ],
    ema_config=dict(momentum=0.01),
    memory_format='channels_last',
)
