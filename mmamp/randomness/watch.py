"""Whether code draws random numbers, and code that may."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch

from .libraries import library_states, set_library_states

_STAND_IN = np.random.MT19937(0)
"""For numpy's own generator, while data is loaded; made once, as it costs."""


@contextmanager
def preserved() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Run code that seeds the generators, and put them back after it.

    numpy's is exchanged for another one meanwhile, since reading its state
    takes longer than all the rest; what it may have kept of a pair of normal
    numbers is drawn anew.

    Yields:
        Callable: Puts them back for a ``with`` statement of the code.
    """
    kept = _states()
    numpy: Any = np.random
    generator = numpy.get_bit_generator()
    numpy.set_bit_generator(
        np.random.MT19937(0) if generator is _STAND_IN else _STAND_IN
    )
    try:
        yield partial(_put_back, kept, generator)
    finally:
        _set_states(kept)
        numpy.set_bit_generator(generator)


@contextmanager
def _put_back(kept: tuple[Any, ...], generator: Any) -> Iterator[None]:
    numpy: Any = np.random
    with preserved():
        _set_states(kept)
        numpy.set_bit_generator(generator)
        yield


def _states() -> tuple[Any, ...]:
    """Return the states of the generators, but for numpy's."""
    return random.getstate(), torch.get_rng_state(), library_states()


def _set_states(states: tuple[Any, ...]) -> None:
    python, of_torch, of_libraries = states
    random.setstate(python)
    torch.set_rng_state(of_torch)
    set_library_states(of_libraries)


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
        """Make two generators for numpy that go on together until one is used.

        Reading the state of one takes longer than all the rest.
        """
        self._used, self._idle = (
            np.random.MT19937(self._seed) for _ in range(2)
        )

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch whether the code in this context draws random numbers."""
        numpy: Any = np.random
        kept = _states()
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
                # Of a dict with arrays in it.
                or repr(library_states()) != repr(kept[2])
            )
            if self.drawn:
                _set_states(kept)
                self._pair()
