"""SAGAN."""

from typing import Any

from torch import Tensor

from .case import (
    Case,
    Network,
    from_mmagic,
    from_mmgen,
    images_of,
    labelled,
    noise_of,
)


def _of_labels(network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    """Call a generator whose second argument is a number of images."""
    result: Tensor = network(inputs[0], label=inputs[1])
    return result


def sagan() -> list[Case]:
    """Return SAGAN's networks."""
    cases = []
    for repository, find, package in (
        ('mmagic', from_mmagic, 'sagan'),
        ('mmgeneration', from_mmgen, 'sngan_proj'),
    ):
        for size, width, classes, is_large in (
            ('small', 8, 5, False),
            ('published', 64, 1000, True),
        ):
            if is_large and repository != 'mmagic':
                continue
            shape = dict(num_classes=classes, base_channels=width)
            block = dict(type='SelfAttentionBlock')
            cases.append(
                Case(
                    f'SAGAN, {size}',
                    repository,
                    'mmagic-sagan',
                    dict(
                        type='ImageGAN',
                        noise_size=128,
                        num_classes=classes,
                        generator=dict(
                            type='SAGANGenerator',
                            image_size=128,
                            attention_size=64,
                            **shape,
                        ),
                        discriminator=dict(
                            type='SAGANDiscriminator',
                            image_size=128,
                            attention_size=64,
                            **shape,
                        ),
                    ),
                    dict(
                        generator=Network(
                            find(
                                package,
                                'SNGANGenerator',
                                output_scale=128,
                                attention_cfg=block,
                                attention_after_nth_block=4,
                                with_spectral_norm=True,
                                with_embedding_spectral_norm=False,
                                norm_eps=1e-5,
                                sn_eps=1e-8,
                                init_cfg=dict(type='BigGAN'),
                                **shape,
                            ),
                            labelled(noise_of(2, 128), classes),
                            _of_labels,
                        ),
                        discriminator=Network(
                            find(
                                package,
                                'ProjDiscriminator',
                                input_scale=128,
                                attention_cfg=block,
                                attention_after_nth_block=1,
                                with_spectral_norm=True,
                                sn_eps=1e-8,
                                **shape,
                            ),
                            labelled(images_of(2, 3, 128, 128), classes),
                        ),
                    ),
                    is_large,
                )
            )
    return cases
