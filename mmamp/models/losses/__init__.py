"""Losses. They know nothing of mixed precision."""

from .gan_loss import GANLoss

__all__ = ['GANLoss']
