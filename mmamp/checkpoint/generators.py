"""Generators of random numbers, whoever's they are, and their states."""

import random
from typing import Any

import numpy as np
import torch

GENERATORS: tuple[type, ...] = (
    *(torch.Generator, random.Random),
    *(np.random.Generator, np.random.RandomState),
)
"""Their classes; one that inherits from them may keep more."""


def state_of(generator: Any) -> Any:
    """Return the state of a generator.

    Args:
        generator (Any): Of one of ``GENERATORS``.

    Returns:
        Any: A tensor, or tuples and dicts of numbers and arrays.
    """
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state()


def put_state(generator: Any, state: Any) -> None:
    """Have a generator go on from a state.

    Args:
        generator (Any): Of one of ``GENERATORS``.
        state (Any): Of :func:`state_of`, of one of the same class.
    """
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.set_state(state)


def generator_of(kind: str, state: Any, device: str) -> Any:
    """Make a generator.

    Args:
        kind (str): The name of its class.
        state (Any): Of :func:`state_of`.
        device (str): That it draws on; torch's alone have one.
    """
    cls: Any = next(x for x in GENERATORS if _name(x) == kind)
    if cls in (np.random.Generator, np.random.RandomState):
        made = cls(getattr(np.random, state['bit_generator'])())
    else:
        made = cls(device) if device else cls()
    put_state(made, state)
    return made


def kind_of(generator: Any) -> str:
    """Return what :func:`generator_of` makes another one by.

    Args:
        generator (Any): Of one of ``GENERATORS``.
    """
    return _name(type(generator))


def _name(cls: type) -> str:
    return f'{cls.__module__.partition(".")[0]}.{cls.__name__}'
