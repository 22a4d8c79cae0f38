# ESRGAN (Wang et al., 2018): 24x24 patches to 96x96. The weights are half of
# the published 5e-3 and 1e-2: the authors' code averages the two terms of the
# adversarial loss, and its images are in [0, 1], these in [-1, 1].
model = dict(
    type='ESRGAN',
    data_preprocessor=dict(type='GANDataPreprocessor'),
    generator=dict(type='RRDBNet', num_blocks=23, growth_channels=32, scale=4),
    discriminator=dict(type='SRGANDiscriminator', image_size=96),
    gan_loss=dict(type='RelativisticGANLoss', loss_weight=2.5e-3),
    pixel_loss='l1',
    pixel_weight=5e-3,
    memory_format='channels_last',
)
