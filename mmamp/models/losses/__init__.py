"""Losses. They know nothing of mixed precision."""

from .gan_loss import GANLoss, RelativisticGANLoss
from .gradient_penalties import DRAGAN, R1, R2, WGANGP, DiscriminatorPenalty
from .orthogonality import Orthogonality
from .path_length import PathLength
from .perceptual_loss import PerceptualLoss
from .regularizer import Regularizer, WeightRegularizer

__all__ = [
    'DRAGAN',
    'R1',
    'R2',
    'WGANGP',
    'DiscriminatorPenalty',
    'GANLoss',
    'Orthogonality',
    'PathLength',
    'PerceptualLoss',
    'Regularizer',
    'RelativisticGANLoss',
    'WeightRegularizer',
]
