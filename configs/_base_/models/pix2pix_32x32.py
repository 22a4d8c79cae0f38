# pix2pix (Isola et al., 2017) for grey 32x32 images, made small.
model = dict(
    type='Pix2Pix',
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(
        type='UNetGenerator',
        in_channels=1,
        out_channels=1,
        base_channels=16,
        num_downs=5,
    ),
    # Two images, source and result; it sees patches of 34x34.
    discriminator=dict(
        type='PatchDiscriminator',
        in_channels=2,
        base_channels=16,
        num_layers=2,
    ),
    gan_loss=dict(type='GANLoss', gan_type='vanilla'),
    pixel_weight=100.0,
    memory_format='channels_last',
)
