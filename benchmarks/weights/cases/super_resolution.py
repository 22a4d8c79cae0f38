"""ESRGAN and SRGAN."""

from typing import Any

from .case import Case, Network, class_of, from_mmagic, images_of


def super_resolution() -> list[Case]:
    """Return ESRGAN's and SRGAN's networks."""
    cases = []
    for size, sizes, is_large in (
        ('small', (16, 2, 8), False),
        ('published', (64, 23, 32), True),
    ):
        width, blocks, growth = sizes
        ours = dict(
            type='ESRGAN',
            generator=dict(
                type='RRDBNet',
                base_channels=width,
                num_blocks=blocks,
                growth_channels=growth,
            ),
            discriminator=dict(
                type='SRGANDiscriminator',
                image_size=128,
                base_channels=width,
                hidden_channels=100,
                num_stages=5,
                down_kernel=4,
            ),
        )
        smaller: dict[str, Any] = dict(
            ours,
            type='SRGAN',
            generator=dict(
                type='MSRResNet', base_channels=width, num_blocks=blocks
            ),
        )
        faces = Network(
            class_of(
                'basicsr.archs.discriminator_arch',
                'VGGStyleDiscriminator',
                num_in_ch=3,
                num_feat=width,
            ),
            images_of(2, 3, 128, 128),
        )
        vgg = Network(
            from_mmagic(
                'srgan', 'ModifiedVGG', in_channels=3, mid_channels=width
            ),
            images_of(2, 3, 128, 128),
        )
        low = images_of(2, 3, 16, 16)
        theirs = dict(num_in_ch=3, num_out_ch=3, num_feat=width)
        theirs |= dict(num_block=blocks)
        of_mmagic = dict(in_channels=3, out_channels=3, mid_channels=width)
        of_mmagic |= dict(num_blocks=blocks)
        cases += [
            Case(
                f'ESRGAN, {size}',
                'BasicSR',
                'basicsr',
                ours,
                dict(
                    generator=Network(
                        class_of(
                            'basicsr.archs.rrdbnet_arch',
                            'RRDBNet',
                            num_grow_ch=growth,
                            **theirs,
                        ),
                        low,
                    ),
                    discriminator=faces,
                ),
                is_large,
                low_too=True,
            ),
            Case(
                f'SRGAN (MSRResNet), {size}',
                'BasicSR',
                'basicsr',
                smaller,
                dict(
                    generator=Network(
                        class_of(
                            'basicsr.archs.srresnet_arch',
                            'MSRResNet',
                            **theirs,
                        ),
                        low,
                    )
                ),
                is_large,
            ),
            Case(
                f'ESRGAN, {size}',
                'mmagic',
                'mmagic-esrgan',
                ours,
                dict(
                    generator=Network(
                        from_mmagic(
                            'esrgan',
                            'RRDBNet',
                            growth_channels=growth,
                            **of_mmagic,
                        ),
                        low,
                    ),
                    discriminator=vgg,
                ),
                is_large,
            ),
            Case(
                f'SRGAN (MSRResNet), {size}',
                'mmagic',
                'mmagic-srgan',
                dict(
                    smaller,
                    generator={
                        **smaller['generator'],
                        'upsample_act': False,
                    },
                ),
                dict(
                    generator=Network(
                        from_mmagic('srgan', 'MSRResNet', **of_mmagic), low
                    ),
                    discriminator=vgg,
                ),
                is_large,
            ),
        ]
    return cases
