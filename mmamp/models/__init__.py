"""GANs: the training loop, the networks, the losses."""

from .archs import *  # noqa: F403
from .base_gan import BaseGAN
from .data_preprocessor import GANDataPreprocessor
from .image_gan import ImageGAN
from .losses import *  # noqa: F403
from .separate_distributed import SeparateDistributedDataParallel
from .stylegan2 import StyleGAN2

__all__ = [
    'BaseGAN',
    'GANDataPreprocessor',
    'ImageGAN',
    'SeparateDistributedDataParallel',
    'StyleGAN2',
]
