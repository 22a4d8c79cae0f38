# Written for the tests after MMGeneration v0.7.3,
# configs/_base_/models/pix2pix/pix2pix_vanilla_unet_bn.py.

source_domain = None  # the user sets both
target_domain = None
model = dict(
    type='Pix2Pix',
    generator=dict(type='UnetGenerator', num_down=8, use_dropout=True),
    discriminator=dict(type='PatchDiscriminator', in_channels=6),
    gan_loss=dict(type='GANLoss', gan_type='vanilla'),
    default_domain=target_domain,
    reachable_domains=[target_domain],
    related_domains=[target_domain, source_domain],
    gen_auxiliary_loss=dict(
        type='L1Loss',
        loss_weight=100.0,
        loss_name='pixel_loss',
        data_info=dict(
            pred=f'fake_{target_domain}', target=f'real_{target_domain}')))
train_cfg = None
test_cfg = None
