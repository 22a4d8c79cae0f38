"""Schedules of learning rates that MMEngine has not."""

from .cycles import CyclicLr, CyclicMomentum
from .inverse_lr import InverseLr
from .linear_lr_interval import LinearLrInterval
from .step_fix_cosine_lr import StepFixCosineLr
from .to_end import (
    ConstantLrToEnd,
    CosineLrToEnd,
    ExponentialLrToEnd,
    LinearLrToEnd,
    PolyLrToEnd,
)

__all__ = [
    'ConstantLrToEnd',
    'CosineLrToEnd',
    'CyclicLr',
    'CyclicMomentum',
    'ExponentialLrToEnd',
    'InverseLr',
    'LinearLrInterval',
    'LinearLrToEnd',
    'PolyLrToEnd',
    'StepFixCosineLr',
]
