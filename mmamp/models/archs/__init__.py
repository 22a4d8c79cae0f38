"""Networks."""

from mmamp.models.layers.spectral_norm import spectral_norm

from .biggan import BigGANDiscriminator, BigGANGenerator
from .cyclegan import ResNetGenerator
from .dcgan import DCGANDiscriminator, DCGANGenerator
from .esrgan import RRDBNet
from .lsgan import LSGANDiscriminator, LSGANGenerator
from .pix2pix import PatchDiscriminator, UNetGenerator
from .sagan import SAGANDiscriminator, SAGANGenerator
from .srgan import MSRResNet, SRGANDiscriminator, SRResNet
from .stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from .wgan_gp import WGANGPCritic, WGANGPGenerator

__all__ = [
    'BigGANDiscriminator',
    'BigGANGenerator',
    'DCGANDiscriminator',
    'DCGANGenerator',
    'LSGANDiscriminator',
    'LSGANGenerator',
    'MSRResNet',
    'PatchDiscriminator',
    'RRDBNet',
    'ResNetGenerator',
    'SAGANDiscriminator',
    'SAGANGenerator',
    'SRGANDiscriminator',
    'SRResNet',
    'StyleGAN2Discriminator',
    'StyleGAN2Generator',
    'UNetGenerator',
    'WGANGPCritic',
    'WGANGPGenerator',
    'spectral_norm',
]
