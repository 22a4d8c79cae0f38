"""Schedules of learning rates that MMEngine has not."""

from .linear_lr_interval import LinearLrInterval

__all__ = ['LinearLrInterval']
