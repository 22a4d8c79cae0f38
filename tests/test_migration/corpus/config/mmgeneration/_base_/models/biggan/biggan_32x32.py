# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/models/biggan/biggan_32x32.py.

model = dict(
    type='BasiccGAN',
    generator=dict(
        type='BigGANGenerator', output_scale=32, num_classes=10),
    discriminator=dict(
        type='BigGANDiscriminator', input_scale=32, num_classes=10),
    gan_loss=dict(type='GANLoss', gan_type='hinge'))

train_cfg = dict(
    disc_steps=4, gen_steps=1, batch_accumulation_steps=1, use_ema=True)
test_cfg = None
optimizer = dict(
    generator=dict(type='Adam', lr=0.0002, betas=(0.0, 0.999)),
    discriminator=dict(type='Adam', lr=0.0002, betas=(0.0, 0.999)))
