"""What a format is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from .layouts import Join
from .rules import Table

MINUS_ONE_TO_ONE = (127.5, 127.5)
ZERO_TO_ONE = (0.0, 255.0)
"""``mean`` and ``std`` that a config's preprocessor has for that range."""


@dataclass(frozen=True)
class Format:
    """Names and layouts of a codebase, for the networks that it has.

    Args:
        name (str): On the command line.
        join (Callable): How its files hold networks.
        tables (Mapping[type, Callable]): By the class of our network, what
            makes its table; it is called with the network.
        pixels (tuple[float, float]): ``mean`` and ``std`` of the images that
            its networks work on.
    """

    name: str
    join: Join
    tables: Mapping[type[nn.Module], Callable[[Any], Table]]
    pixels: tuple[float, float] = MINUS_ONE_TO_ONE
