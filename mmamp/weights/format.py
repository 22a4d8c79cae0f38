"""What a format is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from mmamp.errors import UsageError
from mmamp.utils.modules import unwrap

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
        domains (int): By how many domains its files call networks; such
            files have no averages. Defaults to 0.
    """

    name: str
    join: Join
    tables: Mapping[type[nn.Module], Callable[[Any], Table]]
    pixels: tuple[float, float] = MINUS_ONE_TO_ONE
    domains: int = 0


def networks_of(model: Any) -> dict[str, nn.Module]:
    """Return a model's networks by their names, without averages.

    Args:
        model (nn.Module): A GAN.
    """
    names = [x for role in model.networks.values() for x in role]
    return {x: unwrap(getattr(model, x)) for x in names}


def table_of(chosen: Format, name: str, network: nn.Module) -> Table:
    """Return the rules of a network.

    Args:
        chosen (Format): The format.
        name (str): Of the network in the model.
        network (nn.Module): The network.

    Raises:
        UsageError: If the format knows none of its class.
    """
    make = chosen.tables.get(type(network))
    if make is None:
        raise UsageError(
            f'{name}: {chosen.name} has no {type(network).__name__}, but '
            f'{", ".join(x.__name__ for x in chosen.tables)}'
        )
    return make(network)
