# ESRGAN (Wang et al., 2018): 24x24 patches to 96x96.
model = dict(
    type='ESRGAN',
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(type='RRDBNet', num_blocks=23, growth_channels=32, scale=4),
    discriminator=dict(type='SRGANDiscriminator', image_size=96),
    gan_loss=dict(type='RelativisticGANLoss', loss_weight=5e-3),
    pixel_loss='l1',
    pixel_weight=1e-2,
    memory_format='channels_last',
)
