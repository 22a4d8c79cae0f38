"""What a discriminator's images go through, real and generated alike."""

from .ada import ADA
from .augmentation import Augmentation
from .diff_augment import DiffAugment

__all__ = ['ADA', 'Augmentation', 'DiffAugment']
