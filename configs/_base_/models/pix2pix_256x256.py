# pix2pix (Isola et al., 2017) for 256x256 images in colour.
model = dict(
    type='Pix2Pix',
    data_preprocessor=dict(type='GANDataPreprocessor'),
    # BatchNorm at the paper's batch size of 1, in testing too, is instance
    # norm. For larger batches: norm_cfg=dict(type='BN').
    generator=dict(
        type='UNetGenerator',
        in_channels=3,
        out_channels=3,
        num_downs=8,
        norm_cfg=dict(type='IN', affine=True),
    ),
    discriminator=dict(
        type='PatchDiscriminator',
        in_channels=6,
        norm_cfg=dict(type='IN', affine=True),
    ),
    gan_loss=dict(type='GANLoss', gan_type='vanilla'),
    pixel_weight=100.0,
    memory_format='channels_last',
)
