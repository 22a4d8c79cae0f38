"""Losses. They know nothing of mixed precision."""

from .gan_loss import GANLoss, RelativisticGANLoss
from .gradient_penalties import DRAGAN, R1, R2, WGANGP, DiscriminatorPenalty
from .path_length import PathLength
from .perceptual_loss import PerceptualLoss
from .regularizer import Regularizer

__all__ = [
    'DRAGAN',
    'R1',
    'R2',
    'WGANGP',
    'DiscriminatorPenalty',
    'GANLoss',
    'PathLength',
    'PerceptualLoss',
    'Regularizer',
    'RelativisticGANLoss',
]
