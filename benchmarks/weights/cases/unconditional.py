"""DCGAN and LSGAN."""

from .case import Case, Network, from_mmagic, from_mmgen, images_of, noise_of


def unconditional() -> list[Case]:
    """Return DCGAN's and LSGAN's networks."""
    cases = []
    for repository, find in (
        ('mmagic', from_mmagic),
        ('mmgeneration', from_mmgen),
    ):
        for size, width, is_large in (
            ('small', 8, False),
            ('published', 64, True),
        ):
            if is_large and repository != 'mmagic':
                continue
            cases += [
                Case(
                    f'DCGAN, {size}',
                    repository,
                    'mmagic-dcgan',
                    dict(
                        type='ImageGAN',
                        noise_size=100,
                        generator=dict(
                            type='DCGANGenerator',
                            image_size=64,
                            base_channels=width * 2,
                            bias=True,
                        ),
                        discriminator=dict(
                            type='DCGANDiscriminator',
                            image_size=64,
                            base_channels=width * 2,
                            bias=True,
                            negative_slope=0.01,
                        ),
                        ema_config=dict(momentum=0.01),
                    ),
                    dict(
                        generator=Network(
                            find(
                                'dcgan',
                                'DCGANGenerator',
                                output_scale=64,
                                base_channels=width * 16,
                            ),
                            noise_of(3, 100),
                        ),
                        discriminator=Network(
                            find(
                                'dcgan',
                                'DCGANDiscriminator',
                                input_scale=64,
                                output_scale=4,
                                out_channels=1,
                                base_channels=width * 2,
                            ),
                            images_of(3, 3, 64, 64),
                        ),
                    ),
                    is_large,
                    low_too=True,
                ),
                Case(
                    f'LSGAN, {size}',
                    repository,
                    'mmagic-lsgan',
                    dict(
                        type='ImageGAN',
                        noise_size=1024 if is_large else 32,
                        generator=dict(
                            type='LSGANGenerator',
                            image_size=128,
                            base_channels=width,
                            noise_size=1024 if is_large else 32,
                            kernel_size=3,
                        ),
                        discriminator=dict(
                            type='LSGANDiscriminator',
                            image_size=128,
                            base_channels=width,
                        ),
                    ),
                    dict(
                        generator=Network(
                            find(
                                'lsgan',
                                'LSGANGenerator',
                                output_scale=128,
                                base_channels=width * 4,
                                noise_size=1024 if is_large else 32,
                            ),
                            noise_of(2, 1024 if is_large else 32),
                        ),
                        discriminator=Network(
                            find(
                                'lsgan',
                                'LSGANDiscriminator',
                                input_scale=128,
                                base_channels=width,
                            ),
                            images_of(2, 3, 128, 128),
                        ),
                    ),
                    is_large,
                ),
            ]
    return cases
