"""Networks."""

from .biggan import BigGANDiscriminator, BigGANGenerator
from .dcgan import DCGANDiscriminator, DCGANGenerator
from .sagan import SAGANDiscriminator, SAGANGenerator
from .spectral_norm import spectral_norm
from .stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator

__all__ = [
    'BigGANDiscriminator',
    'BigGANGenerator',
    'DCGANDiscriminator',
    'DCGANGenerator',
    'SAGANDiscriminator',
    'SAGANGenerator',
    'StyleGAN2Discriminator',
    'StyleGAN2Generator',
    'spectral_norm',
]
