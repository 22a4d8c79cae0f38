# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/models/cyclegan/cyclegan_lsgan_resnet.py.

_domain_a = None  # the user sets both
_domain_b = None
model = dict(
    type='CycleGAN',
    generator=dict(type='ResnetGenerator', num_blocks=9),
    discriminator=dict(type='PatchDiscriminator', num_conv=3),
    gan_loss=dict(type='GANLoss', gan_type='lsgan'),
    default_domain=None,
    reachable_domains=None,
    related_domains=None,
    gen_auxiliary_loss=[
        dict(
            type='L1Loss',
            loss_weight=10.0,
            loss_name='cycle_loss',
            data_info=dict(
                pred=f'cycle_{_domain_a}', target=f'real_{_domain_a}'))
    ])
train_cfg = dict(buffer_size=50)
test_cfg = None
