"""Networks."""

from .biggan import BigGANDiscriminator, BigGANGenerator
from .cyclegan import ResNetGenerator
from .dcgan import DCGANDiscriminator, DCGANGenerator
from .esrgan import RRDBNet
from .pix2pix import PatchDiscriminator, UNetGenerator
from .spectral_norm import spectral_norm
from .srgan import SRGANDiscriminator, SRResNet

__all__ = [
    'BigGANDiscriminator',
    'BigGANGenerator',
    'DCGANDiscriminator',
    'DCGANGenerator',
    'PatchDiscriminator',
    'RRDBNet',
    'ResNetGenerator',
    'SRGANDiscriminator',
    'SRResNet',
    'UNetGenerator',
    'spectral_norm',
]
