# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/models/sngan_proj/sngan_proj_128x128.py.

model = dict(
    type='BasiccGAN',
    generator=dict(type='SNGANGenerator', output_scale=128),
    discriminator=dict(type='ProjDiscriminator', input_scale=128),
    gan_loss=dict(type='GANLoss', gan_type='hinge'))

train_cfg = dict(disc_steps=2)
test_cfg = None

optimizer = dict(
    generator=dict(type='Adam', lr=0.0002, betas=(0.5, 0.999)),
    discriminator=dict(type='Adam', lr=0.0002, betas=(0.5, 0.999)))
