"""What is compared: networks of others, and the configs that take them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

COMMITS = {
    'BasicSR': '8d56e3a',
    'mmagic': '0a560bb',
    'mmgeneration': 'ccd1f56',
    'BigGAN-PyTorch': '9845943',
    'stylegan2-ada-pytorch': 'd72cc7d',
}
"""Of the repositories, in FOLDER, under these names."""
Build = Callable[[], nn.Module]
Call = Callable[[Any, tuple[Tensor, ...]], Tensor]


def plainly(network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    """Call a network with its inputs."""
    result: Tensor = network(*inputs)
    return result


@dataclass(frozen=True)
class Network:
    """One network of a case.

    Args:
        build (Callable): Makes theirs.
        inputs (Callable): Makes what both are called with; the first is what
            has a gradient.
        call (Callable): Calls theirs. Defaults to :func:`plainly`.
    """

    build: Build
    inputs: Callable[[], tuple[Tensor, ...]]
    call: Call = plainly


@dataclass(frozen=True)
class Case:
    """Networks that are converted together.

    Args:
        name (str): What the table calls it.
        repository (str): A key of :data:`COMMITS`.
        format (str): Of the weights.
        model (dict): Of our config.
        networks (dict[str, Network]): By their names in the model.
        is_large (bool): Whether it is of a published size.
        fixed_norms (bool): Whether theirs takes the divisors of spectral
            norm for constants when it computes gradients.
    """

    name: str
    repository: str
    format: str
    model: dict[str, Any]
    networks: dict[str, Network] = field(default_factory=dict)
    is_large: bool = False
    fixed_norms: bool = False


def _images(*shape: int) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: (torch.rand(*shape) * 2 - 1,)


def _noise(num: int, size: int) -> Callable[[], tuple[Tensor, ...]]:
    return lambda: (torch.randn(num, size),)


def _labelled(
    make: Callable[[], tuple[Tensor, ...]], classes: int
) -> Callable[[], tuple[Tensor, ...]]:
    def inputs() -> tuple[Tensor, ...]:
        (first,) = make()
        return first, torch.arange(len(first)) * 3 % classes

    return inputs


def _class(module: str, name: str, **kwargs: Any) -> Build:
    return lambda: getattr(import_module(module), name)(**kwargs)


def _mmagic(editor: str, name: str, **kwargs: Any) -> Build:
    return _class(f'mmagic.models.editors.{editor}', name, **kwargs)


def _mmgen(family: str, name: str, **kwargs: Any) -> Build:
    return _class(f'mmgen.models.architectures.{family}', name, **kwargs)


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
            _class(
                'basicsr.archs.discriminator_arch',
                'VGGStyleDiscriminator',
                num_in_ch=3,
                num_feat=width,
            ),
            _images(2, 3, 128, 128),
        )
        vgg = Network(
            _mmagic('srgan', 'ModifiedVGG', in_channels=3, mid_channels=width),
            _images(2, 3, 128, 128),
        )
        low = _images(2, 3, 16, 16)
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
                        _class(
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
            ),
            Case(
                f'SRGAN (MSRResNet), {size}',
                'BasicSR',
                'basicsr',
                smaller,
                dict(
                    generator=Network(
                        _class(
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
                        _mmagic(
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
                        _mmagic('srgan', 'MSRResNet', **of_mmagic), low
                    ),
                    discriminator=vgg,
                ),
                is_large,
            ),
        ]
    return cases


def unconditional() -> list[Case]:
    """Return DCGAN's and LSGAN's networks."""
    cases = []
    for repository, find in (('mmagic', _mmagic), ('mmgeneration', _mmgen)):
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
                            _noise(3, 100),
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
                            _images(3, 3, 64, 64),
                        ),
                    ),
                    is_large,
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
                            _noise(2, 1024 if is_large else 32),
                        ),
                        discriminator=Network(
                            find(
                                'lsgan',
                                'LSGANDiscriminator',
                                input_scale=128,
                                base_channels=width,
                            ),
                            _images(2, 3, 128, 128),
                        ),
                    ),
                    is_large,
                ),
            ]
    return cases


def _of_shared(network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    """Call BigGAN-PyTorch's G, which is given embedded labels."""
    noise, labels = inputs
    result: Tensor = network(noise, network.shared(labels))
    return result


def biggan() -> list[Case]:
    """Return BigGAN's networks."""
    cases = []
    for size, image, width, classes, is_large in (
        ('small', 64, 4, 10, False),
        ('published', 128, 96, 1000, True),
    ):
        chunks = 5 if image == 64 else 6
        noise, shared = 20 * chunks, 128 if is_large else 16
        attention = 64 if is_large else 32
        ours = dict(
            type='ImageGAN',
            noise_size=noise,
            num_classes=classes,
            generator=dict(
                type='BigGANGenerator',
                image_size=image,
                num_classes=classes,
                base_channels=width,
                noise_size=noise,
                embedding_size=shared,
                attention_size=attention,
            ),
            discriminator=dict(
                type='BigGANDiscriminator',
                image_size=image,
                num_classes=classes,
                base_channels=2 * width if not is_large else width,
                attention_size=attention,
            ),
            ema_config=dict(momentum=0.01),
        )
        width_d = ours['discriminator']['base_channels']  # type: ignore[index]
        latents = _labelled(_noise(2, noise), classes)
        pictures = _labelled(_images(2, 3, image, image), classes)
        cases.append(
            Case(
                f'BigGAN, {size}',
                'BigGAN-PyTorch',
                'biggan-pytorch',
                ours,
                dict(
                    generator=Network(
                        _class(
                            'BigGAN',
                            'Generator',
                            G_ch=width,
                            dim_z=noise,
                            resolution=image,
                            G_attn=str(attention),
                            n_classes=classes,
                            G_shared=True,
                            shared_dim=shared,
                            hier=True,
                            SN_eps=1e-6,
                            no_optim=True,
                        ),
                        latents,
                        _of_shared,
                    ),
                    discriminator=Network(
                        _class(
                            'BigGAN',
                            'Discriminator',
                            D_ch=width_d,
                            resolution=image,
                            D_attn=str(attention),
                            n_classes=classes,
                            SN_eps=1e-6,
                        ),
                        pictures,
                    ),
                ),
                is_large,
            )
        )
        for repository, find, style in (
            ('mmagic', _mmagic, 'ajbrock'),
            ('mmagic', _mmagic, 'torch'),
            ('mmgeneration', _mmgen, 'ajbrock'),
        ):
            if is_large and (repository, style) != ('mmagic', 'ajbrock'):
                continue
            small: dict[str, Any] = {}
            if not is_large:
                small = _attention_at(image, attention, width, width_d)
            cases.append(
                Case(
                    f'BigGAN ({style}), {size}',
                    repository,
                    'mmagic-biggan' + ('-torch' if style == 'torch' else ''),
                    ours,
                    dict(
                        generator=Network(
                            find(
                                'biggan',
                                'BigGANGenerator',
                                output_scale=image,
                                noise_size=noise,
                                num_classes=classes,
                                base_channels=width,
                                shared_dim=shared,
                                sn_style=style,
                                arch_cfg=small.get('generator'),
                            ),
                            latents,
                        ),
                        discriminator=Network(
                            find(
                                'biggan',
                                'BigGANDiscriminator',
                                input_scale=image,
                                num_classes=classes,
                                base_channels=width_d,
                                sn_style=style,
                                arch_cfg=small.get('discriminator'),
                            ),
                            pictures,
                        ),
                    ),
                    is_large,
                    fixed_norms=style == 'ajbrock',
                )
            )
    return cases


def _attention_at(
    image: int, attention: int, width: int, width_d: int
) -> dict[str, Any]:
    """Describe 64x64 with attention where theirs has none by default."""
    up = [16, 16, 8, 4, 2]
    down = [1, 2, 4, 8, 16]
    sizes = [8, 16, 32, 64]
    sizes_d = [32, 16, 8, 4, 4]
    return dict(
        generator=dict(
            in_channels=[width * x for x in up[:-1]],
            out_channels=[width * x for x in up[1:]],
            upsample=[True] * 4,
            resolution=sizes,
            attention=[x == attention for x in sizes],
        ),
        discriminator=dict(
            in_channels=[3, *(width_d * x for x in down[:-1])],
            out_channels=[width_d * x for x in down],
            downsample=[True] * 4 + [False],
            resolution=sizes_d,
            attention=[x == attention for x in sizes_d],
        ),
    )


def translation() -> list[Case]:
    """Return pix2pix's and CycleGAN's networks."""
    cases = []
    for repository, find, patches in (
        ('mmagic', _mmagic, _class_of_patches('mmagic.models.archs')),
        (
            'mmgeneration',
            _mmgen,
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
                            _images(1, 3, 256, 256),
                        ),
                        discriminator=Network(
                            patches(in_channels=6, base_channels=width),
                            _images(1, 6, 256, 256),
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
                                _images(1, 3, 128, 128),
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
                                _images(1, 3, 128, 128),
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
        return _class(module, 'PatchDiscriminator', **kwargs)

    return make


def all_cases() -> list[Case]:
    """Return all of them."""
    return [
        *super_resolution(),
        *unconditional(),
        *biggan(),
        *translation(),
    ]
