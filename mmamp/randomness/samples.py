"""Random numbers as a function of where in the run a sample is."""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from mmengine.dist import broadcast, get_dist_info, get_world_size
from torch import Tensor

from .position import word_at
from .progress import run_info
from .splitmix import STEP, fractions, mixed, signed

AGREED_SEED = 'latents_seed'
"""In the message hub: the seed that the ranks of a run have in common."""

UPDATES_AHEAD = 16
"""Updates whose numbers are drawn at once: what it costs to draw so few is
calling the operators, and not what they do."""

NUMBERS_AHEAD = 2**16
"""Of more numbers, those of fewer updates are, so that memory is bounded."""

DRAWS_AHEAD = 256
"""Draws whose next numbers are kept: of each network, micro-batch and call."""


def run_seed() -> int:
    """Return the seed of the run that is going on.

    What its ranks have agreed on, else what MMEngine's Runner says; outside
    of a run it is torch's.
    """
    info = run_info()
    for key in (AGREED_SEED, 'seed'):
        if (seed := info.get(key)) is not None:
            return int(seed)
    return torch.initial_seed()


def agreed(seed: int) -> int:
    """Return the first rank's seed; all ranks have to call this.

    With ``diff_rank_seed`` MMEngine gives each rank another.

    Args:
        seed (int): This rank's.
    """
    found = torch.tensor(seed % 2**63)
    broadcast(found)
    return int(found)


def place_of(
    count: int, update: int, num: int, last: list[int] | None
) -> list[int]:
    """Place a micro-batch among the samples of its update.

    Args:
        count (int): Micro-batches of its network before it.
        update (int): The index of its update.
        num (int): Its samples on this rank.
        last (list[int], optional): What this returned last.

    Returns:
        list[int]: ``count`` and ``update``; how many samples of all ranks the
        update had before this micro-batch, and with it.
    """
    last_count, last_update, _, after = last or (-1, -1, 0, 0)
    if last is not None and last_count == count:
        return last
    # An update whose losses are computed again begins again.
    goes_on = last_update == update and last_count < count
    before = after if goes_on else 0
    return [count, update, before, before + num * get_world_size()]


class SampleRandom:
    """Random numbers for each of some samples of an update.

    A sample's numbers are a function of the run's seed, of the stream, of the
    update, and of the sample's place among all that the update has, of every
    rank and micro-batch: they do not depend on how many ranks or
    micro-batches share the samples, two ranks never draw the same, and a
    resumed run draws what it would have drawn, with no state to save. They
    are those of SplitMix64 (Steele, Lea and Flood, "Fast Splittable
    Pseudorandom Number Generators", OOPSLA 2014), computed on the device, for
    some updates at once.

    Args:
        device (torch.device or str): Where the numbers are drawn.
        num (int): Samples of this rank.
        stream (int): What they are for, from 0 on, such as which network is
            being trained.
        update (int): Index of the update, from 0 on.
        before (int): Samples of all ranks that the update had before these.
            Defaults to 0.
        seed (int, optional): Of the run. Defaults to None:
            :func:`run_seed`.
        shared (bool): Whether all ranks have the same samples. Defaults to
            False.

    Examples:
        >>> random = SampleRandom('cpu', 4, 0, 17)
        >>> random.normal(128).shape, random.integers(10).shape
        (torch.Size([4, 128]), torch.Size([4]))
    """

    def __init__(
        self,
        device: torch.device | str,
        num: int,
        stream: int,
        update: int,
        before: int = 0,
        seed: int | None = None,
        shared: bool = False,
    ) -> None:
        rank, world_size = (0, 1) if shared else get_dist_info()
        self._device = torch.device(device)
        self._seed = (run_seed() if seed is None else seed) % 2**63
        self._stream = int(stream)
        self._update = int(update)
        # As torch's samplers deal out a dataset, so that a generated image
        # always meets the same real one.
        first = int(before) + rank
        self._places = range(first, first + int(num) * world_size, world_size)
        # Of this rank's micro-batch, and of no other.
        self._share = (int(before), rank)
        self._draws = 0

    def _drawn(self, make: Callable[[Tensor], Tensor], size: int) -> Tensor:
        """Draw ``size`` numbers for each sample, as a function makes them."""
        size = int(size)
        many = NUMBERS_AHEAD // max(1, len(self._places) * size)
        many = max(1, min(UPDATES_AHEAD, many))
        place = self._update % many
        first = self._update - place
        what = (
            make,
            self._device,
            (self._seed, self._stream, self._draws),
            range(first, first + many),
            self._places,
            size,
        )
        # The next numbers are others.
        self._draws += 1
        if many == 1:
            return _updates(*what)[0]
        # Whoever gets them may change them.
        return _ahead(*what)[place].clone()

    def uniform(self, *shape: int) -> Tensor:
        """Draw uniform numbers in [0, 1).

        Args:
            *shape (int): Of one sample.

        Returns:
            Tensor: float32, of shape (num, *shape).
        """
        return self._drawn(fractions, math.prod(shape)).view(-1, *shape)

    def normal(self, *shape: int, bound: float | None = None) -> Tensor:
        """Draw standard normal numbers.

        Made of uniform ones by the inverse of the distribution function. All
        lie within 5.43, which one in 17 million should not.

        Args:
            *shape (int): Of one sample.
            bound (float, optional): What numbers beyond are drawn again, as
                it were: the truncated distribution has an inverse too, so
                that each number is that of the same call without a bound, but
                nearer to zero. Defaults to None.

        Returns:
            Tensor: float32, of shape (num, *shape).
        """
        size = math.prod(shape)
        if bound is None:
            return self._drawn(_normal, size).view(-1, *shape)
        share = math.erf(bound / math.sqrt(2))
        numbers = _quantiles(self._drawn(_centred, size).mul_(share))
        return numbers.clamp_(-bound, bound).view(-1, *shape)

    def integers(self, high: int) -> Tensor:
        """Draw uniform integers.

        Args:
            high (int): They are in [0, high), which is less than 2**31.

        Returns:
            Tensor: int64, of shape (num, ).
        """
        return self._drawn(_words, 1)[:, 0] * int(high) >> 32

    def generator(self) -> torch.Generator:
        """Make a generator of torch's, for numbers too many to be drawn here.

        Seeded, on the host, by all that the numbers are a function of, but by
        the samples before and the rank in place of the sample's place: two
        ranks or micro-batches never draw the same, and a resumed run draws
        what it would have drawn. What is drawn does depend on how many ranks
        and micro-batches there are.

        Returns:
            torch.Generator: On the device; a new one, at its start.
        """
        position = self._seed, self._stream, self._update, *self._share
        return torch.Generator(self._device).manual_seed(word_at(position))


def forget_draws() -> None:
    """Let go of numbers that were drawn ahead."""
    _ahead.cache_clear()


def uniform(
    random: SampleRandom | None,
    shape: torch.Size | tuple[Any, ...],
    device: Any,
) -> Tensor:
    """Draw uniform numbers of a shape, the samples' or torch's own."""
    if random is None:
        return torch.rand(shape, device=device)
    return random.uniform(*shape[1:])


def normal(
    random: SampleRandom | None,
    shape: torch.Size | tuple[Any, ...],
    device: Any,
) -> Tensor:
    """Draw standard normal numbers of a shape, the samples' or torch's own."""
    if random is None:
        return torch.randn(shape, device=device)
    return random.normal(*shape[1:])


def _updates(
    make: Callable[[Tensor], Tensor],
    device: torch.device,
    draw: tuple[int, int, int],
    updates: range,
    places: range,
    size: int,
) -> Tensor:
    """Draw the numbers of some updates, of shape (updates, places, size).

    Each update's are of a sequence of its own, in which the samples follow
    each other.
    """
    seed, stream, index = draw
    # Two numbers of 32 bits each.
    width = -(-size // 2)
    place = torch.arange(places.start, places.stop, places.step, device=device)
    steps = place[:, None] * width + torch.arange(width, device=device) + 1
    steps *= STEP
    # One by one, as copying a list to the device would wait for it.
    bits = torch.stack(
        [
            steps + signed(word_at((seed, stream, update, index)))
            for update in updates
        ]
    )
    return make(mixed(bits).view(torch.int32)[..., :size])


_ahead = lru_cache(maxsize=DRAWS_AHEAD)(_updates)


# What is made of 32 random bits.


def _centred(bits: Tensor) -> Tensor:
    # In the middle of 2**24 equal parts of (-1, 1), which is exact.
    return (bits >> 8).float().add_(0.5).mul_(2.0**-23)


def _quantiles(shares: Tensor) -> Tensor:
    """Find within what bounds a normal number is with a probability."""
    return shares.erfinv_().mul_(math.sqrt(2))


def _normal(bits: Tensor) -> Tensor:
    return _quantiles(_centred(bits))


def _words(bits: Tensor) -> Tensor:
    return bits.long() & 0xFFFFFFFF
