"""Random numbers as a function of where in the run a sample is."""

import math
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast, get_dist_info
from mmengine.logging import MessageHub
from torch import Tensor

from mmamp.randomness import word_at

_AGREED = 'latents_seed'

# The constants of SplitMix64: its step, which is the golden ratio, and its two
# multipliers; and as the signed integers that torch has.
_UNSIGNED = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
_SIGNED = tuple(word - 2**64 for word in _UNSIGNED)


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
        before = int(before)
        self._entropy = (run_seed() % 2**63, *map(int, position))
        # Of this rank's micro-batch, and of no other.
        self._share = (before, rank)
        # As torch's samplers deal out a dataset, so that a generated image
        # always meets the same real one.
        places = self._range(num) * world_size + (before + rank)
        # Bits that the arrays take whether they have a sign or not.
        start = word_at(self._entropy) >> 1
        self._keys = _mix(places * _constants(places)[0] + start)

    def _range(self, num: int) -> Any:
        """The integers from 0 on, as the array that bits are drawn in.

        On the host numpy's: with so few numbers what a call costs counts, and
        numpy's costs a third of torch's.
        """
        if self._device.type == 'cpu':
            return np.arange(num, dtype=np.uint64)
        return torch.arange(num, device=self._device)

    def _draw(self, num: int) -> Any:
        """64 random bits, ``num`` times for each sample."""
        steps = self._range(num) + 1
        steps *= _constants(steps)[0]
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
        numbers = _floats(_shifted(self._draw(math.prod(shape)), 40))
        numbers *= 2.0**-24
        return torch.as_tensor(numbers).view(-1, *shape)

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
        radius = _floats(_shifted(bits, 32))
        radius += 0.5
        radius *= 2.0**-32
        angle = _floats(bits & 0xFFFFFF)
        angle *= math.tau * 2.0**-24
        xp: Any = np if isinstance(bits, np.ndarray) else torch
        xp.log(radius, out=radius)
        radius *= -2.0
        xp.sqrt(radius, out=radius)
        pairs = xp.concatenate(
            [radius * xp.cos(angle), radius * xp.sin(angle)], 1
        )
        numbers = torch.as_tensor(pairs)
        if size % 2:
            numbers = numbers[:, :size].contiguous()
        return numbers.view(-1, *shape)

    def generator(self) -> torch.Generator:
        """A generator of torch's, for numbers too many to be drawn here.

        Seeded, on the host, by the run's seed, the position, the samples
        before and the rank: two ranks or micro-batches never draw the same,
        and a resumed run draws what it would have drawn. What is drawn does
        depend on how many ranks and micro-batches there are.

        Returns:
            torch.Generator: On the device; a new one, at its start.
        """
        seed = word_at((*self._entropy, *self._share))
        return torch.Generator(self._device).manual_seed(seed)

    def integers(self, high: int) -> Tensor:
        """Uniform integers.

        Args:
            high (int): They are in [0, high), which is less than 2**31.

        Returns:
            Tensor: int64, of shape (num, ).
        """
        bits = _shifted(self._draw(1)[:, 0], 32)
        numbers = _shifted(bits * int(high), 32)
        if isinstance(numbers, np.ndarray):
            numbers = numbers.astype(np.int64)
        return torch.as_tensor(numbers)


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


def _constants(bits: Any) -> tuple[int, ...]:
    """SplitMix64's, as an array of this kind takes them."""
    return _UNSIGNED if isinstance(bits, np.ndarray) else _SIGNED


def _floats(bits: Any) -> Any:
    """Integers as float32, in memory of their own."""
    if isinstance(bits, np.ndarray):
        return bits.astype(np.float32)
    return bits.float()


def _shifted(bits: Any, by: int) -> Any:
    """Bits shifted right, zeros moving in; torch's integers have a sign."""
    if isinstance(bits, np.ndarray):
        return bits >> by
    return (bits >> by) & ((1 << (64 - by)) - 1)


def _mix(bits: Any) -> Any:
    """SplitMix64's output function, of an array of 64-bit integers."""
    _, first, second = _constants(bits)
    bits = (bits ^ _shifted(bits, 30)) * first
    bits = (bits ^ _shifted(bits, 27)) * second
    return bits ^ _shifted(bits, 31)
