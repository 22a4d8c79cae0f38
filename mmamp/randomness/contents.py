"""Random numbers as a function of what a sample is."""

import math

import torch
from torch import Tensor

from .splitmix import STEP, fractions, mixed, signed


class ContentRandom:
    """Random numbers for each of some samples, the same wherever one is met.

    A sample's numbers are a function of its float32 values alone, and not of
    what else is in the batch, of its place there, of the rank or of a seed.
    They are computed on its device.

    Args:
        samples (Tensor): Of shape (N, ...), floating.

    Examples:
        >>> random = ContentRandom(torch.ones(4, 3, 8, 8))
        >>> numbers = random.uniform(128)
        >>> numbers.shape, bool((numbers[0] == numbers[1]).all())
        (torch.Size([4, 128]), True)
    """

    def __init__(self, samples: Tensor) -> None:
        # Of -0, which is 0, too.
        values = samples.detach().float().flatten(1) + 0.0
        bits = values.view(torch.int32).long()
        # A sum of whole numbers is the same in any order.
        self._digests = (bits * mixed(_steps(bits.shape[1], bits))).sum(1)
        self._draws = 0

    def uniform(self, *shape: int) -> Tensor:
        """Draw uniform numbers in [0, 1); each call draws others.

        Args:
            *shape (int): Of one sample.

        Returns:
            Tensor: float32, of shape (N, *shape).
        """
        size = math.prod(shape)
        self._draws += 1
        states = mixed(self._digests + signed(self._draws * STEP))[:, None]
        # Two numbers of 32 bits each.
        words = mixed(states + _steps(-(-size // 2), states))
        numbers = fractions(words.view(torch.int32)[:, :size])
        return numbers.view(-1, *shape)


def _steps(num: int, like: Tensor) -> Tensor:
    return (torch.arange(num, device=like.device) + 1) * STEP
