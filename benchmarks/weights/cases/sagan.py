"""SAGAN."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from .case import (
    Build,
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


def case_of(
    name: str,
    where: tuple[str, Callable[..., Build], str],
    width: int,
    classes: int,
    num: int,
    *,
    both: dict[str, Any],
    generator: dict[str, Any] | None = None,
    **case: Any,
) -> Case:
    """Describe the two networks.

    Args:
        name (str): Of the case.
        where (tuple): The repository, what describes a network of it, and the
            package there.
        width (int): Channels.
        classes (int): How many there are.
        num (int): Images in a batch.
        both (dict): Arguments of both of theirs.
        generator (dict, optional): Of the generator alone. Defaults to None.
        **case: More of :class:`Case`.
    """
    repository, find, package = where
    shape = dict(num_classes=classes, base_channels=width)
    ours = dict(image_size=128, attention_size=64, **shape)
    theirs = dict(
        attention_cfg=dict(type='SelfAttentionBlock'),
        with_spectral_norm=True,
        **both,
        **shape,
    )
    return Case(
        name,
        repository,
        'mmagic-sagan',
        dict(
            type='ImageGAN',
            noise_size=128,
            num_classes=classes,
            generator=dict(type='SAGANGenerator', **ours),
            discriminator=dict(type='SAGANDiscriminator', **ours),
        ),
        dict(
            generator=Network(
                find(
                    package,
                    'SNGANGenerator',
                    output_scale=128,
                    attention_after_nth_block=4,
                    with_embedding_spectral_norm=False,
                    **theirs,
                    **(generator or {}),
                ),
                labelled(noise_of(num, 128), classes),
                _of_labels,
            ),
            discriminator=Network(
                find(
                    package,
                    'ProjDiscriminator',
                    input_scale=128,
                    attention_after_nth_block=1,
                    **theirs,
                ),
                labelled(images_of(num, 3, 128, 128), classes),
            ),
        ),
        **case,
    )


def sagan() -> list[Case]:
    """Return SAGAN's networks."""
    return [
        case_of(
            f'SAGAN, {size}',
            where,
            *(width, classes, 2),
            both=dict(sn_eps=1e-8),
            generator=dict(norm_eps=1e-5, init_cfg=dict(type='BigGAN')),
            is_large=is_large,
        )
        for where in (
            ('mmagic', from_mmagic, 'sagan'),
            ('mmgeneration', from_mmgen, 'sngan_proj'),
        )
        for size, width, classes, is_large in (
            ('small', 8, 5, False),
            ('published', 64, 1000, True),
        )
        if where[0] == 'mmagic' or not is_large
    ]
