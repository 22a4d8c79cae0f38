# SRGAN (Ledig et al., 2017): 24x24 patches to 96x96.
model = dict(
    type='SRGAN',
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(type='SRResNet', num_blocks=16, scale=4),
    discriminator=dict(type='SRGANDiscriminator', image_size=96),
    gan_loss=dict(type='GANLoss', gan_type='vanilla', loss_weight=1e-3),
    pixel_loss='mse',
    pixel_weight=1.0,
    memory_format='channels_last',
)
