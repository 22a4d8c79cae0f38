"""pix2pix and CycleGAN."""

from collections.abc import Callable
from typing import Any

from .case import (
    Build,
    Case,
    Network,
    class_of,
    from_mmagic,
    from_mmgen,
    images_of,
)


def translation() -> list[Case]:
    """Return pix2pix's and CycleGAN's networks."""
    cases = []
    for repository, find, patches in (
        ('mmagic', from_mmagic, _class_of_patches('mmagic.models.archs')),
        (
            'mmgeneration',
            from_mmgen,
            _class_of_patches('mmgen.models.architectures.pix2pix'),
        ),
    ):
        for size, width, blocks, is_large in (
            ('small', 8, 2, False),
            ('published', 64, 9, True),
        ):
            if is_large and repository != 'mmagic':
                continue
            cases += [
                Case(
                    f'pix2pix, {size}',
                    repository,
                    'mmagic-pix2pix',
                    dict(
                        type='Pix2Pix',
                        generator=dict(
                            type='UNetGenerator',
                            base_channels=width,
                            norm_cfg=dict(type='BN'),
                        ),
                        discriminator=dict(
                            type='PatchDiscriminator', base_channels=width
                        ),
                    ),
                    dict(
                        generator=Network(
                            find(
                                'pix2pix',
                                'UnetGenerator',
                                in_channels=3,
                                out_channels=3,
                                base_channels=width,
                                use_dropout=True,
                            ),
                            images_of(1, 3, 256, 256),
                        ),
                        discriminator=Network(
                            patches(in_channels=6, base_channels=width),
                            images_of(1, 6, 256, 256),
                        ),
                    ),
                    is_large,
                ),
                Case(
                    f'CycleGAN, {size}',
                    repository,
                    'mmagic-cyclegan',
                    dict(
                        type='CycleGAN',
                        generator=dict(
                            type='ResNetGenerator',
                            base_channels=width,
                            num_blocks=blocks,
                        ),
                        discriminator=dict(
                            type='PatchDiscriminator',
                            in_channels=3,
                            base_channels=width,
                            norm_cfg=dict(type='IN'),
                        ),
                    ),
                    {
                        **{
                            f'generator_{x}': Network(
                                find(
                                    'cyclegan',
                                    'ResnetGenerator',
                                    in_channels=3,
                                    out_channels=3,
                                    base_channels=width,
                                    num_blocks=blocks,
                                ),
                                images_of(1, 3, 128, 128),
                            )
                            for x in ('ab', 'ba')
                        },
                        **{
                            f'discriminator_{x}': Network(
                                patches(
                                    in_channels=3,
                                    base_channels=width,
                                    norm_cfg=dict(type='IN'),
                                ),
                                images_of(1, 3, 128, 128),
                            )
                            for x in ('a', 'b')
                        },
                    },
                    is_large,
                ),
            ]
    return cases


def _class_of_patches(module: str) -> Callable[..., Build]:
    def make(**kwargs: Any) -> Build:
        return class_of(module, 'PatchDiscriminator', **kwargs)

    return make
