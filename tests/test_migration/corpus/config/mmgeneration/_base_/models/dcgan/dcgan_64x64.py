# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/models/dcgan/dcgan_64x64.py.

model = dict(
    type='StaticUnconditionalGAN',
    generator=dict(type='DCGANGenerator', output_scale=64),
    discriminator=dict(type='DCGANDiscriminator', input_scale=64),
    gan_loss=dict(type='GANLoss', gan_type='vanilla'))

train_cfg = dict(disc_steps=1)
test_cfg = None

optimizer = dict(
    generator=dict(type='Adam', lr=0.0002, betas=(0.5, 0.999)),
    discriminator=dict(type='Adam', lr=0.0002, betas=(0.5, 0.999)))
