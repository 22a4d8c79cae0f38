"""Schedules of learning rates that MMEngine has not."""

from .linear_lr_interval import LinearLrInterval
from .to_end import ConstantLrToEnd, LinearLrToEnd, PolyLrToEnd

__all__ = [
    'ConstantLrToEnd',
    'LinearLrInterval',
    'LinearLrToEnd',
    'PolyLrToEnd',
]
