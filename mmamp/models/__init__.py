"""GANs: the training loop, the networks, the losses."""

from mmamp.models.base.base_gan import BaseGAN
from mmamp.models.base.batch_fit import Passage
from mmamp.models.base.data_preprocessor import GANDataPreprocessor
from mmamp.models.wrappers.separate_distributed import (
    SeparateDistributedDataParallel,
)

from . import gans
from .archs import *  # noqa: F403
from .augment import *  # noqa: F403
from .gans import *  # noqa: F403
from .losses import *  # noqa: F403

__all__ = [
    'BaseGAN',
    'GANDataPreprocessor',
    'Passage',
    'SeparateDistributedDataParallel',
]
__all__ += gans.__all__
