"""One file a kind of GAN."""

from .cyclegan import CycleGAN
from .esrgan import ESRGAN
from .image_gan import ImageGAN
from .image_translation import ImageTranslationGAN
from .pix2pix import Pix2Pix
from .srgan import SRGAN
from .stylegan2 import StyleGAN2

__all__ = [
    'ESRGAN',
    'SRGAN',
    'CycleGAN',
    'ImageGAN',
    'ImageTranslationGAN',
    'Pix2Pix',
    'StyleGAN2',
]
