"""GANs: the training loop, the networks, the losses."""

from mmamp.models.base.base_gan import BaseGAN
from mmamp.models.base.data_preprocessor import GANDataPreprocessor
from mmamp.models.gans.cyclegan import CycleGAN
from mmamp.models.gans.esrgan import ESRGAN
from mmamp.models.gans.image_gan import ImageGAN
from mmamp.models.gans.image_translation import ImageTranslationGAN
from mmamp.models.gans.pix2pix import Pix2Pix
from mmamp.models.gans.srgan import SRGAN
from mmamp.models.gans.stylegan2 import StyleGAN2
from mmamp.models.wrappers.separate_distributed import (
    SeparateDistributedDataParallel,
)

from .archs import *  # noqa: F403
from .losses import *  # noqa: F403

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
