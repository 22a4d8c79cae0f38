"""StyleGAN2."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from .case import (
    Case,
    Network,
    class_of,
    from_mmagic,
    from_mmgen,
    images_of,
    labelled,
    noise_of,
)

PSI = 0.7


def _of_ada(network: Any, inputs: tuple[Tensor, ...], **kwargs: Any) -> Tensor:
    """Call ADA's G or D, whose labels are one-hot, with constant noise."""
    first, *labels = inputs
    c = torch.zeros(len(first), network.c_dim)
    if labels:
        c = torch.nn.functional.one_hot(labels[0], network.c_dim).float()
    if not hasattr(network, 'synthesis'):
        result: Tensor = network(first, c)
        return result
    # Their branch for evaluation multiplies the weights of each sample, ours
    # and that of training the features.
    kwargs |= dict(noise_mode='const', fused_modconv=False)
    image: Tensor = network(first, c, **kwargs)
    return image


def _of_mmagic(network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    """Call MMagic's generator with the noise of its buffers."""
    result: Tensor = network(*inputs, randomize_noise=False)
    return result


def stylegan2() -> list[Case]:
    """Return StyleGAN2's networks."""
    cases = []
    for name, size, image, base, classes, is_large in (
        ('StyleGAN2, small', 64, 32, 1024, None, False),
        ('StyleGAN2 with classes, small', 64, 32, 1024, 5, False),
        ('StyleGAN2, published', 512, 256, 16384, None, True),
    ):
        layers = 8 if is_large else 3
        channels = dict(channel_base=base, channel_max=512 if is_large else 64)
        ours = dict(
            type='StyleGAN2',
            noise_size=size,
            num_classes=classes,
            generator=dict(
                type='StyleGAN2Generator',
                image_size=image,
                noise_size=size,
                style_size=size,
                num_mapping_layers=layers,
                conv_clamp=256.0,
                num_classes=classes,
                **channels,
            ),
            discriminator=dict(
                type='StyleGAN2Discriminator',
                image_size=image,
                conv_clamp=256.0,
                num_classes=classes,
                **channels,
            ),
            ema_config=dict(momentum=0.01),
        )
        latents, pictures = noise_of(2, size), images_of(4, 3, image, image)
        if classes:
            latents, pictures = (
                labelled(x, classes) for x in (latents, pictures)
            )
        shape = dict(c_dim=classes or 0, img_resolution=image, img_channels=3)
        cases.append(
            Case(
                name,
                'stylegan2-ada-pytorch',
                'stylegan2-ada',
                ours,
                dict(
                    generator=Network(
                        class_of(
                            'training.networks',
                            'Generator',
                            z_dim=size,
                            w_dim=size,
                            mapping_kwargs=dict(num_layers=layers),
                            synthesis_kwargs=dict(conv_clamp=256, **channels),
                            **shape,
                        ),
                        latents,
                        _of_ada,
                    ),
                    discriminator=Network(
                        class_of(
                            'training.networks',
                            'Discriminator',
                            conv_clamp=256,
                            **shape,
                            **channels,
                        ),
                        pictures,
                        _of_ada,
                    ),
                ),
                is_large,
            )
        )
    return cases + _truncated() + _stylegan2_of_openmmlab()


def _truncated() -> list[Case]:
    """Return tiny ones whose model truncates, in all layers or in some."""
    size, image, classes = 8, 16, 3
    channels = dict(channel_base=128, channel_max=16)
    shape = dict(c_dim=classes, img_resolution=image, img_channels=3)
    cases = []
    for name, layers in (('psi', None), ('psi in 2 layers', 2)):
        ours = dict(
            type='StyleGAN2',
            noise_size=size,
            num_classes=classes,
            truncation=PSI,
            generator=dict(
                type='StyleGAN2Generator',
                image_size=image,
                noise_size=size,
                style_size=size,
                num_mapping_layers=2,
                num_classes=classes,
                truncation_layers=layers,
                **channels,
            ),
            discriminator=dict(
                type='StyleGAN2Discriminator',
                image_size=image,
                num_classes=classes,
                **channels,
            ),
        )
        networks = dict(
            generator=Network(
                class_of(
                    'training.networks',
                    'Generator',
                    z_dim=size,
                    w_dim=size,
                    mapping_kwargs=dict(num_layers=2),
                    synthesis_kwargs=channels,
                    **shape,
                ),
                labelled(noise_of(4, size), classes),
                partial(_of_ada, truncation_psi=PSI, truncation_cutoff=layers),
            ),
            discriminator=Network(
                class_of(
                    'training.networks', 'Discriminator', **shape, **channels
                ),
                labelled(images_of(4, 3, image, image), classes),
                _of_ada,
            ),
        )
        cases.append(
            Case(
                f'StyleGAN2 with classes, {name}, small',
                'stylegan2-ada-pytorch',
                'stylegan2-ada',
                ours,
                networks,
            )
        )
    return cases


def _stylegan2_of_openmmlab() -> list[Case]:
    """Return those of MMagic and MMGeneration, whose channels are fixed."""
    cases = []
    for repository, find, package, names in (
        (
            'mmagic',
            from_mmagic,
            'stylegan2',
            ('StyleGAN2Generator', 'StyleGAN2Discriminator'),
        ),
        (
            'mmgeneration',
            from_mmgen,
            'stylegan',
            ('StyleGANv2Generator', 'StyleGAN2Discriminator'),
        ),
    ):
        for name, size, image, is_large in (
            ('StyleGAN2, small', 16, 8, False),
            ('StyleGAN2, published', 512, 256, True),
        ):
            if is_large and repository != 'mmagic':
                continue
            layers = 8 if is_large else 2
            cases.append(
                Case(
                    name,
                    repository,
                    'mmagic-stylegan2',
                    dict(
                        type='StyleGAN2',
                        noise_size=size,
                        generator=dict(
                            type='StyleGAN2Generator',
                            image_size=image,
                            noise_size=size,
                            style_size=size,
                            num_mapping_layers=layers,
                            channel_base=32768,
                        ),
                        discriminator=dict(
                            type='StyleGAN2Discriminator',
                            image_size=image,
                            channel_base=32768,
                        ),
                    ),
                    dict(
                        generator=Network(
                            find(
                                package,
                                names[0],
                                out_size=image,
                                style_channels=size,
                                num_mlps=layers,
                            ),
                            noise_of(2, size),
                            _of_mmagic,
                        ),
                        discriminator=Network(
                            find(package, names[1], in_size=image),
                            images_of(4, 3, image, image),
                        ),
                    ),
                    is_large,
                )
            )
    return cases
