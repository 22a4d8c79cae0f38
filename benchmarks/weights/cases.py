"""What is compared: networks of others, and the configs that take them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .recipes import noise

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
class Inputs:
    """What both are called with.

    Args:
        shape (tuple[int, ...]): Of the first, which gets a gradient.
        scale (float): Its deviation; images have that of uniform pixels.
        classes (int, optional): Of the second. Defaults to None: there is
            none.
    """

    shape: tuple[int, ...]
    scale: float = 1.0
    classes: int | None = None

    def make(self) -> tuple[Tensor, ...]:
        """Make them, the same each time."""
        first = noise(self.shape, seed=0) * self.scale
        if self.classes is None:
            return (first,)
        return first, torch.arange(len(first)) * 3 % self.classes


@dataclass(frozen=True)
class Network:
    """One network of a case.

    Args:
        build (Callable): Makes theirs.
        inputs (Inputs): What both are called with.
        call (Callable): Calls theirs. Defaults to :func:`plainly`.
    """

    build: Build
    inputs: Inputs
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
        low_too (bool): Whether it is compared in low precisions too, which
            take a CPU minutes at a published size.
        fixed_norms (bool): Whether theirs takes the divisors of spectral
            norm for constants when it computes gradients.
    """

    name: str
    repository: str
    format: str
    model: dict[str, Any]
    networks: dict[str, Network] = field(default_factory=dict)
    is_large: bool = False
    low_too: bool = False
    fixed_norms: bool = False


def _images(*shape: int) -> Inputs:
    return Inputs(shape, scale=3**-0.5)


def _noise(num: int, size: int) -> Inputs:
    return Inputs((num, size))


def _labelled(inputs: Inputs, classes: int) -> Inputs:
    return replace(inputs, classes=classes)


def _class(module: str, name: str, **kwargs: Any) -> Build:
    def build() -> nn.Module:
        package = import_module(module)
        # What its registry is asked for by name.
        for folder in getattr(package, '__path__', ()):
            for file in Path(folder).glob('*modules.py'):
                import_module(f'{module}.{file.stem}')
        network: nn.Module = getattr(package, name)(**kwargs)
        return network

    return build


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
                low_too=True,
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


def _of_labels(network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    """Call a generator whose second argument is a number of images."""
    result: Tensor = network(inputs[0], label=inputs[1])
    return result


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
        latent, shared = 20 * chunks, 128 if is_large else 16
        attention = 64 if is_large else 32
        ours: dict[str, Any] = dict(
            type='ImageGAN',
            noise_size=latent,
            num_classes=classes,
            generator=dict(
                type='BigGANGenerator',
                image_size=image,
                num_classes=classes,
                base_channels=width,
                noise_size=latent,
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
        width_d = ours['discriminator']['base_channels']
        latents = _labelled(_noise(2, latent), classes)
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
                            dim_z=latent,
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
                    dict(
                        ours,
                        discriminator={
                            **ours['discriminator'],
                            'shortcut_act': is_large,
                        },
                    ),
                    dict(
                        generator=Network(
                            find(
                                'biggan',
                                'BigGANGenerator',
                                output_scale=image,
                                noise_size=latent,
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
                                act_cfg=dict(type='ReLU', inplace=is_large),
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


def sagan() -> list[Case]:
    """Return SAGAN's networks."""
    cases = []
    for repository, find, package in (
        ('mmagic', _mmagic, 'sagan'),
        ('mmgeneration', _mmgen, 'sngan_proj'),
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
                            _labelled(_noise(2, 128), classes),
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
                            _labelled(_images(2, 3, 128, 128), classes),
                        ),
                    ),
                    is_large,
                )
            )
    return cases


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


def _of_ada(network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
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
    image: Tensor = network(first, c, noise_mode='const', fused_modconv=False)
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
        latents, pictures = _noise(2, size), _images(4, 3, image, image)
        if classes:
            latents, pictures = (
                _labelled(x, classes) for x in (latents, pictures)
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
                        _class(
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
                        _class(
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
    return cases + _stylegan2_of_openmmlab()


def _stylegan2_of_openmmlab() -> list[Case]:
    """Return those of MMagic and MMGeneration, whose channels are fixed."""
    cases = []
    for repository, find, package, names in (
        (
            'mmagic',
            _mmagic,
            'stylegan2',
            ('StyleGAN2Generator', 'StyleGAN2Discriminator'),
        ),
        (
            'mmgeneration',
            _mmgen,
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
                            _noise(2, size),
                            _of_mmagic,
                        ),
                        discriminator=Network(
                            find(package, names[1], in_size=image),
                            _images(4, 3, image, image),
                        ),
                    ),
                    is_large,
                )
            )
    return cases


def all_cases() -> list[Case]:
    """Return all of them."""
    return [
        *super_resolution(),
        *unconditional(),
        *sagan(),
        *biggan(),
        *translation(),
        *stylegan2(),
    ]
