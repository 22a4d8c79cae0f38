"""GANs: the training loop, the networks, the losses."""

from .archs import *  # noqa: F403
from .base_gan import BaseGAN
from .cyclegan import CycleGAN
from .data_preprocessor import GANDataPreprocessor
from .esrgan import ESRGAN
from .image_gan import ImageGAN
from .image_translation import ImageTranslationGAN
from .losses import *  # noqa: F403
from .pix2pix import Pix2Pix
from .separate_distributed import SeparateDistributedDataParallel
from .srgan import SRGAN
from .stylegan2 import StyleGAN2

__all__ = [
    'ESRGAN',
    'SRGAN',
    'BaseGAN',
    'CycleGAN',
    'GANDataPreprocessor',
    'ImageGAN',
    'ImageTranslationGAN',
    'Pix2Pix',
    'SeparateDistributedDataParallel',
    'StyleGAN2',
]
