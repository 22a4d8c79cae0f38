"""StyleGAN2."""

from functools import partial
from typing import Any

import torch
from torch import Tensor

from .case import (
    Call,
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
    cases = [
        _case_of_ada(
            name,
            size=size,
            image=image,
            channels=dict(
                channel_base=base, channel_max=512 if is_large else 64
            ),
            classes=classes,
            mapping_layers=8 if is_large else 3,
            conv_clamp=256.0,
            latents=2,
            model=dict(ema_config=dict(momentum=0.01)),
            is_large=is_large,
        )
        for name, size, image, base, classes, is_large in (
            ('StyleGAN2, small', 64, 32, 1024, None, False),
            ('StyleGAN2 with classes, small', 64, 32, 1024, 5, False),
            ('StyleGAN2, published', 512, 256, 16384, None, True),
        )
    ]
    # Tiny ones whose model truncates, in all layers or in some.
    cases += [
        _case_of_ada(
            f'StyleGAN2 with classes, {name}, small',
            size=8,
            image=16,
            channels=dict(channel_base=128, channel_max=16),
            classes=3,
            mapping_layers=2,
            latents=4,
            model=dict(truncation=PSI),
            generator=dict(truncation_layers=layers),
            call=partial(
                _of_ada, truncation_psi=PSI, truncation_cutoff=layers
            ),
        )
        for name, layers in (('psi', None), ('psi in 2 layers', 2))
    ]
    return cases + _stylegan2_of_openmmlab()


def _case_of_ada(
    name: str,
    *,
    size: int,
    image: int,
    channels: dict[str, int],
    classes: int | None,
    mapping_layers: int,
    latents: int,
    model: dict[str, Any],
    generator: dict[str, Any] | None = None,
    conv_clamp: float | None = None,
    call: Call = _of_ada,
    is_large: bool = False,
) -> Case:
    """Return a case of StyleGAN2-ADA's networks.

    Args:
        name (str): What the table calls it.
        size (int): Length of both latents.
        image (int): Height and width.
        channels (dict): Of both networks, as both codes call them.
        classes (int, optional): None for none.
        mapping_layers (int): Of the generator.
        latents (int): How many are compared.
        model (dict): What else our model has.
        generator (dict, optional): What else our generator has.
        conv_clamp (float, optional): Of both networks.
        call (Callable): Calls their generator.
        is_large (bool): Whether it is of a published size.
    """
    ours = dict(image_size=image, num_classes=classes, **channels)
    shape = dict(c_dim=classes or 0, img_resolution=image, img_channels=3)
    # Nothing is said of it where nothing is clamped.
    clamp = {} if conv_clamp is None else dict(conv_clamp=conv_clamp)
    noise, pictures = noise_of(latents, size), images_of(4, 3, image, image)
    if classes:
        noise, pictures = (labelled(x, classes) for x in (noise, pictures))
    return Case(
        name,
        'stylegan2-ada-pytorch',
        'stylegan2-ada',
        dict(
            type='StyleGAN2',
            noise_size=size,
            num_classes=classes,
            generator=dict(
                type='StyleGAN2Generator',
                noise_size=size,
                style_size=size,
                num_mapping_layers=mapping_layers,
                **clamp,
                **ours,
                **(generator or {}),
            ),
            discriminator=dict(type='StyleGAN2Discriminator', **clamp, **ours),
            **model,
        ),
        dict(
            generator=Network(
                class_of(
                    'training.networks',
                    'Generator',
                    z_dim=size,
                    w_dim=size,
                    mapping_kwargs=dict(num_layers=mapping_layers),
                    synthesis_kwargs=dict(**clamp, **channels),
                    **shape,
                ),
                noise,
                call,
            ),
            discriminator=Network(
                class_of(
                    'training.networks',
                    'Discriminator',
                    **clamp,
                    **shape,
                    **channels,
                ),
                pictures,
                _of_ada,
            ),
        ),
        is_large,
    )


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
