"""Random-number states, and seeds as a function of where the run is."""

import random
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
import torch


def rng_state() -> dict[str, Any]:
    """The state of Python's, numpy's and torch's generators, plain.

    Returns:
        dict: Numbers, strings and tensors, so that it can be saved in a
        checkpoint that loads with ``weights_only=True``.
    """
    version, internal, gauss = random.getstate()
    legacy: Any = np.random.get_state()
    kind, keys, position, has_gauss, cached = legacy
    state = dict(
        python=[version, list(internal), gauss],
        numpy=[kind, keys.tolist(), position, has_gauss, cached],
        torch=torch.get_rng_state(),
    )
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_rng_state(state: dict[str, Any]) -> None:
    """Go on from a state.

    Args:
        state (dict): From :func:`rng_state`, possibly of another process.
    """
    version, internal, gauss = state['python']
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *rest = state['numpy']
    np.random.set_state((kind, np.array(keys, np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


_STAND_IN = np.random.MT19937(0)
"""For numpy's own generator, while data is loaded; made once, as it costs."""


@contextmanager
def preserved() -> Iterator[None]:
    """Run code that seeds the generators, and put them back after it.

    numpy's is exchanged for another one meanwhile, since reading its state
    takes longer than all the rest; what it may have kept of a pair of normal
    numbers is drawn anew.
    """
    kept = random.getstate(), torch.get_rng_state()
    numpy: Any = np.random
    generator = numpy.get_bit_generator()
    numpy.set_bit_generator(
        np.random.MT19937(0) if generator is _STAND_IN else _STAND_IN
    )
    try:
        yield
    finally:
        random.setstate(kept[0])
        torch.set_rng_state(kept[1])
        numpy.set_bit_generator(generator)


def seed_at(position: Sequence[int]) -> None:
    """Seed the generators of this process by a position.

    Args:
        position (Sequence[int]): Non-negative integers, such as the run's
            seed and the place of a sample in it.
    """
    words = struct.unpack('<IIQ', _digest(position))
    random.seed(words[0])
    np.random.seed(words[1])
    # Not torch.manual_seed, which would reseed every accelerator too.
    torch.default_generator.manual_seed(words[2])


def word_at(position: Sequence[int]) -> int:
    """A number of 64 bits that a position has, and no other.

    Args:
        position (Sequence[int]): Non-negative integers, such as the run's
            seed and the index of an update.
    """
    return int.from_bytes(_digest(position)[:8], 'little')


def _digest(position: Sequence[int]) -> bytes:
    """16 bytes; numpy's SeedSequence takes ten times as long."""
    text = ','.join(map(str, position)).encode()
    return blake2b(text, digest_size=16).digest()


class DrawWatch:
    """Tells whether code draws a number, at a fraction of seeding's price.

    Whatever the code drew is put back at its end, but, as with
    :func:`preserved`, what numpy had kept of a pair of normal numbers. Not
    told is a draw whose generator the code itself puts back.

    Args:
        seed (int): Of the generator that numpy has meanwhile, from 0 on.

    Attributes:
        drawn (bool): Whether the last code that was watched drew a number.

    Examples:
        >>> watch = DrawWatch(0)
        >>> with watch.watching():
        ...     number = random.random()
        >>> watch.drawn
        True
    """

    def __init__(self, seed: int) -> None:
        self.drawn = False
        self._seed = seed
        self._pair()

    def _pair(self) -> None:
        """Two generators for numpy that go on together, until one is used.

        Reading the state of one takes longer than all the rest.
        """
        self._used, self._idle = (
            np.random.MT19937(self._seed) for _ in range(2)
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the code in this context."""
        numpy: Any = np.random
        kept = random.getstate(), torch.get_rng_state()
        generator = numpy.get_bit_generator()
        numpy.set_bit_generator(self._used)
        try:
            yield
        finally:
            numpy.set_bit_generator(generator)
            self.drawn = (
                self._used.random_raw() != self._idle.random_raw()
                or random.getstate() != kept[0]
                or not torch.equal(torch.get_rng_state(), kept[1])
            )
            if self.drawn:
                random.setstate(kept[0])
                torch.set_rng_state(kept[1])
                self._pair()


def part_ranks(rank: int) -> None:
    """Have ranks that were seeded alike draw other numbers from now on.

    Args:
        rank (int): Of this process. The first one goes on as it is, so that
            a run of one process draws what it would have drawn.
    """
    if rank == 0:
        return
    seed_at([torch.initial_seed() % 2**63, rank])
    # The accelerators too, which draw what is dropped out on them.
    torch.manual_seed(torch.initial_seed())
