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
    class_of,
    from_mmgen,
    images_of,
    noise_of,
)
from .sagan import case_of


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
    # The paper's critic has the mean of all positions, theirs the sum.
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
            class_of('wgan_gp_networks', 'ResGenerator32', z_dim=128),
            noise_of(8, 128),
        ),
        discriminator=Network(
            class_of('wgan_gp_networks', 'ResDiscriminator32'),
            images_of(8, 3, 32, 32),
            mean,
        ),
    )


def _sagan() -> Case:
    """Return MMGeneration's, as its code for TensorFlow's weights begins."""
    return case_of(
        'SAGAN, published',
        ('mmgeneration', from_mmgen, 'sngan_proj'),
        *(64, 1000, 4),
        both=dict(init_cfg=dict(type='SAGAN')),
    )


def _translation(function: str, **kwargs: Any) -> Build:
    """Describe a network of the authors of pix2pix and CycleGAN.

    Args:
        function (str): ``'define_G'`` or ``'define_D'``.
        **kwargs: Its arguments.
    """
    return class_of(
        'translation_networks', function, no_antialias=True, **kwargs
    )


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
                'define_G',
                **dict(input_nc=3, output_nc=3, ngf=64, netG='unet_256'),
                use_dropout=True,
                no_antialias_up=True,
            ),
            images_of(1, 3, 256, 256),
        ),
        discriminator=Network(
            _translation('define_D', input_nc=6, ndf=64, netD='basic'),
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
                'define_G',
                **dict(input_nc=3, output_nc=3, ngf=64),
                **dict(netG='resnet_9blocks', norm='instance'),
                no_antialias_up=True,
            ),
            images_of(1, 3, 256, 256),
        ),
        discriminator_b=Network(
            _translation(
                'define_D',
                **dict(input_nc=3, ndf=64, netD='basic', norm='instance'),
            ),
            images_of(1, 3, 256, 256),
        ),
    )
