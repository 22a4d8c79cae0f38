"""Random numbers as a function of where in the run a sample is."""

import math
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast, get_dist_info
from mmengine.logging import MessageHub
from torch import Tensor

# The constants of SplitMix64, as the signed integers that torch has: its
# step, which is the golden ratio, and its two multipliers.
_STEP = -0x61C8864680B583EB
_AGREED = 'latents_seed'
_MULTIPLY = (-0x40A7B892E31B1A47, -0x6B2FB644ECCEEE15)


def run_seed() -> int:
    """The seed of the run that is going on.

    What :func:`agree_on_seed` left in the message hub, else what MMEngine's
    Runner did; outside of a Runner it is torch's.
    """
    hub = MessageHub.get_current_instance()
    for key in (_AGREED, 'seed'):
        if (seed := hub.get_info(key)) is not None:
            return int(seed)
    return torch.initial_seed()


def agree_on_seed() -> None:
    """Have all ranks take the first one's seed, for good.

    With ``diff_rank_seed`` MMEngine gives each rank another. All ranks have to
    call this; a checkpoint holds what they agreed on.
    """
    hub = MessageHub.get_current_instance()
    if hub.get_info(_AGREED) is None:
        seed = torch.tensor(run_seed() % 2**63)
        broadcast(seed)
        hub.update_info(_AGREED, int(seed))


def use_seed(seed: int) -> None:
    """Take a seed, whatever run has been in this process.

    Args:
        seed (int): Of what is drawn from now on.
    """
    MessageHub.get_current_instance().update_info(_AGREED, seed)


class SampleRandom:
    """Random numbers for each of some samples of an update.

    A sample's numbers are a function of the run's seed, of ``position`` and
    of the sample's place among all that the update has, of every rank and
    micro-batch: they do not depend on how many ranks or micro-batches share
    the samples, two ranks never draw the same, and a resumed run draws what
    it would have drawn, with no state to save. They are those of SplitMix64
    (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators",
    OOPSLA 2014), all computed at once on the device.

    Args:
        device (torch.device or str): Where the numbers are drawn.
        num (int): Samples of this rank.
        *position (int): Non-negative integers, such as which network is being
            trained and the index of its update.
        before (int): Samples of all ranks that the update had before these.
            Defaults to 0.

    Examples:
        >>> random = SampleRandom('cpu', 4, 0, 17)
        >>> random.normal(128).shape, random.integers(10).shape
        (torch.Size([4, 128]), torch.Size([4]))
    """

    def __init__(
        self,
        device: torch.device | str,
        num: int,
        *position: int,
        before: int = 0,
    ) -> None:
        rank, world_size = get_dist_info()
        self._device = torch.device(device)
        self._entropy = (run_seed() % 2**63, *position)
        # Of this rank's micro-batch, and of no other.
        self._share = (before, rank)
        seed = np.random.SeedSequence(self._entropy)
        word = seed.generate_state(1, np.uint64)
        # As torch's samplers deal out a dataset, so that a generated image
        # always meets the same real one.
        places = self._range(num) * world_size + (before + rank)
        self._keys = _mix(places * _STEP + int(word.view(np.int64)[0]))

    def _range(self, num: int) -> Any:
        """The integers from 0 on, as the array that bits are drawn in.

        On the host numpy's: with so few numbers what a call costs counts, and
        numpy's costs a third of torch's.
        """
        if self._device.type == 'cpu':
            return np.arange(num)
        return torch.arange(num, device=self._device)

    def _draw(self, num: int) -> Any:
        """64 random bits, ``num`` times for each sample."""
        steps = (self._range(num) + 1) * _STEP
        drawn = _mix(self._keys[:, None] + steps)
        # The next numbers are others.
        self._keys = drawn[:, -1]
        return drawn

    def uniform(self, *shape: int) -> Tensor:
        """Uniform numbers in [0, 1).

        Args:
            *shape (int): Of one sample.

        Returns:
            Tensor: float32, of shape (num, *shape).
        """
        bits = _shifted(self._draw(math.prod(shape)), 40)
        return _floats(bits).mul_(2.0**-24).view(-1, *shape)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers.

        Args:
            *shape (int): Of one sample.

        Returns:
            Tensor: float32, of shape (num, *shape).
        """
        size = math.prod(shape)
        bits = self._draw(-(-size // 2))
        # Box-Muller: two uniform numbers, the first of them not 0, make two
        # normal ones.
        first = _floats(_shifted(bits, 32)).add_(0.5).mul_(2.0**-32)
        angle = _floats(bits & 0xFFFFFF).mul_(math.tau * 2.0**-24)
        radius = first.log_().mul_(-2.0).sqrt_()
        pairs = torch.cat([radius * angle.cos(), radius * angle.sin()], 1)
        return pairs[:, :size].contiguous().view(-1, *shape)

    def generator(self) -> torch.Generator:
        """A generator of torch's, for numbers too many to be drawn here.

        Seeded, on the host, by the run's seed, the position, the samples
        before and the rank: two ranks or micro-batches never draw the same,
        and a resumed run draws what it would have drawn. What is drawn does
        depend on how many ranks and micro-batches there are.

        Returns:
            torch.Generator: On the device; a new one, at its start.
        """
        seed = np.random.SeedSequence(self._entropy, spawn_key=self._share)
        (word,) = seed.generate_state(1, np.uint64)
        return torch.Generator(self._device).manual_seed(int(word))

    def integers(self, high: int) -> Tensor:
        """Uniform integers.

        Args:
            high (int): They are in [0, high), which is less than 2**31.

        Returns:
            Tensor: int64, of shape (num, ).
        """
        bits = _shifted(self._draw(1)[:, 0], 32)
        return torch.as_tensor((bits * high) >> 32)


def uniform(
    random: SampleRandom | None,
    shape: torch.Size | tuple[Any, ...],
    device: Any,
) -> Tensor:
    """Uniform numbers of a shape, the samples' or torch's own."""
    if random is None:
        return torch.rand(shape, device=device)
    return random.uniform(*shape[1:])


def normal(
    random: SampleRandom | None,
    shape: torch.Size | tuple[Any, ...],
    device: Any,
) -> Tensor:
    """Standard normal numbers of a shape, the samples' or torch's own."""
    if random is None:
        return torch.randn(shape, device=device)
    return random.normal(*shape[1:])


def _floats(bits: Any) -> Tensor:
    """Integers as float32, in memory of their own."""
    return torch.as_tensor(bits).float()


def _shifted(bits: Any, by: int) -> Any:
    """Bits shifted right, zeros moving in; torch's integers have a sign."""
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _mix(bits: Any) -> Any:
    """SplitMix64's output function, of an array of 64-bit integers."""
    bits = (bits ^ _shifted(bits, 30)) * _MULTIPLY[0]
    bits = (bits ^ _shifted(bits, 27)) * _MULTIPLY[1]
    return bits ^ _shifted(bits, 31)
