"""Networks of published sizes that are only compared as they begin.

Their weights are those of other formats, or what initialises them does not
run, see :mod:`benchmarks.weights.originals`.
"""

from importlib import import_module
from typing import Any

from torch import Tensor, nn

from .case import (
    Build,
    Case,
    Network,
    from_mmgen,
    images_of,
    labelled,
    noise_of,
)

NUM_POSITIONS = 64
"""WGAN-GP's critic has the mean of these positions, theirs their sum."""


def beginnings() -> list[Case]:
    """Return DCGAN, LSGAN, WGAN-GP, SAGAN, pix2pix and CycleGAN."""
    return [_dcgan(), _lsgan(), _wgan_gp(), _sagan(), _pix2pix(), _cyclegan()]


def _case(
    name: str, repository: str, model: dict[str, Any], **networks: Network
) -> Case:
    return Case(f'{name}, published', repository, '', model, networks)


def _dcgan() -> Case:
    def build(name: str) -> Build:
        def made() -> nn.Module:
            file: Any = import_module('dcgan_example')
            file.nz, file.ngf, file.ndf, file.nc = 100, 64, 64, 3
            network: nn.Module = getattr(file, name)(ngpu=1)
            return network.apply(file.weights_init)

        return made

    def noise(network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
        result: Tensor = network(inputs[0][:, :, None, None])
        return result

    def logits(network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
        result: Tensor = network.main[:-1](*inputs)
        return result.flatten(1)

    return _case(
        'DCGAN',
        'examples',
        dict(
            type='ImageGAN',
            noise_size=100,
            generator=dict(type='DCGANGenerator', image_size=64),
            discriminator=dict(type='DCGANDiscriminator', image_size=64),
        ),
        generator=Network(build('Generator'), noise_of(4, 100), noise),
        discriminator=Network(
            build('Discriminator'), images_of(4, 3, 64, 64), logits
        ),
    )


def _lsgan() -> Case:
    """Return MMGeneration's, initialised as the authors' code does.

    That is of TensorFlow: xudonmao/LSGAN, 3b13d36, ``ops.py``.
    """

    def begun(build: Build) -> Build:
        def made() -> nn.Module:
            network = build()
            for module in network.modules():
                if isinstance(
                    module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear
                ):
                    nn.init.normal_(module.weight, std=0.02)
                    if module.bias is not None:
                        nn.init.zeros_(module.bias)
            return network

        return made

    return _case(
        'LSGAN',
        'mmgeneration',
        dict(
            type='ImageGAN',
            noise_size=1024,
            generator=dict(
                type='LSGANGenerator',
                image_size=128,
                noise_size=1024,
                kernel_size=3,
            ),
            discriminator=dict(type='LSGANDiscriminator', image_size=128),
        ),
        generator=Network(
            begun(from_mmgen('lsgan', 'LSGANGenerator', output_scale=128)),
            noise_of(4, 1024),
        ),
        discriminator=Network(
            begun(from_mmgen('lsgan', 'LSGANDiscriminator', input_scale=128)),
            images_of(4, 3, 128, 128),
        ),
    )


def _wgan_gp() -> Case:
    def build(name: str, **kwargs: Any) -> Build:
        def made() -> nn.Module:
            file: Any = import_module('wgan_gp_networks')
            network: nn.Module = getattr(file, name)(**kwargs)
            return network

        return made

    def mean(network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
        x: Tensor = network.model(*inputs).mean((2, 3))
        result: Tensor = network.linear(x)
        return result

    return _case(
        'WGAN-GP',
        'pytorch-gan-collections',
        dict(
            type='ImageGAN',
            noise_size=128,
            generator=dict(
                type='WGANGPGenerator', image_size=32, base_channels=256
            ),
            discriminator=dict(type='WGANGPCritic', image_size=32),
        ),
        generator=Network(
            build('ResGenerator32', z_dim=128), noise_of(8, 128)
        ),
        discriminator=Network(
            build('ResDiscriminator32'), images_of(8, 3, 32, 32), mean
        ),
    )


def _sagan() -> Case:
    shape = dict(num_classes=1000, base_channels=64)
    theirs = dict(
        attention_cfg=dict(type='SelfAttentionBlock'),
        with_spectral_norm=True,
        init_cfg=dict(type='SAGAN'),
        **shape,
    )

    def of_labels(network: Any, inputs: tuple[Tensor, ...]) -> Tensor:
        result: Tensor = network(inputs[0], label=inputs[1])
        return result

    return _case(
        'SAGAN',
        'mmgeneration',
        dict(
            type='ImageGAN',
            noise_size=128,
            num_classes=1000,
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
        generator=Network(
            from_mmgen(
                'sngan_proj',
                'SNGANGenerator',
                output_scale=128,
                attention_after_nth_block=4,
                with_embedding_spectral_norm=False,
                **theirs,
            ),
            labelled(noise_of(4, 128), 1000),
            of_labels,
        ),
        discriminator=Network(
            from_mmgen(
                'sngan_proj',
                'ProjDiscriminator',
                input_scale=128,
                attention_after_nth_block=1,
                **theirs,
            ),
            labelled(images_of(4, 3, 128, 128), 1000),
        ),
    )


def _translation(function: str, *args: Any, **kwargs: Any) -> Build:
    """Describe a network of the authors of pix2pix and CycleGAN.

    Args:
        function (str): ``'define_G'`` or ``'define_D'``.
        *args: Its arguments.
        **kwargs: More.
    """

    def made() -> nn.Module:
        file: Any = import_module('translation_networks')
        network: nn.Module = getattr(file, function)(
            *args, no_antialias=True, **kwargs
        )
        return network

    return made


def _pix2pix() -> Case:
    return _case(
        'pix2pix',
        'contrastive-unpaired-translation',
        dict(
            type='Pix2Pix',
            generator=dict(type='UNetGenerator', norm_cfg=dict(type='BN')),
            discriminator=dict(type='PatchDiscriminator'),
        ),
        generator=Network(
            _translation(
                *('define_G', 3, 3, 64, 'unet_256'),
                use_dropout=True,
                no_antialias_up=True,
            ),
            images_of(1, 3, 256, 256),
        ),
        discriminator=Network(
            _translation('define_D', 6, 64, 'basic'),
            images_of(1, 6, 256, 256),
        ),
    )


def _cyclegan() -> Case:
    return _case(
        'CycleGAN',
        'contrastive-unpaired-translation',
        dict(
            type='CycleGAN',
            generator=dict(type='ResNetGenerator'),
            discriminator=dict(
                type='PatchDiscriminator',
                in_channels=3,
                norm_cfg=dict(type='IN'),
            ),
        ),
        generator_ab=Network(
            _translation(
                *('define_G', 3, 3, 64, 'resnet_9blocks', 'instance'),
                no_antialias_up=True,
            ),
            images_of(1, 3, 256, 256),
        ),
        discriminator_b=Network(
            _translation('define_D', 3, 64, 'basic', norm='instance'),
            images_of(1, 3, 256, 256),
        ),
    )
