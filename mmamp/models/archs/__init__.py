"""Networks."""

from .biggan import BigGANDiscriminator, BigGANGenerator
from .dcgan import DCGANDiscriminator, DCGANGenerator
from .spectral_norm import spectral_norm

__all__ = [
    'BigGANDiscriminator',
    'BigGANGenerator',
    'DCGANDiscriminator',
    'DCGANGenerator',
    'spectral_norm',
]
