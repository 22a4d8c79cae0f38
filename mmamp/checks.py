"""Checks of what a user gives."""

from typing import Any

from torch import nn


def check_int(name: str, value: Any, low: int = 1) -> int:
    """Refuse what is no integer, or too small.

    Args:
        name (str): What the user calls it.
        value (Any): What was given; True and False are no integers here.
        low (int): The smallest valid value. Defaults to 1.

    Returns:
        int: The value.

    Raises:
        ValueError: If it is not valid.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise ValueError(f'{name} must be an int >= {low}, but got {value!r}')
    return value


def check_weight(name: str, value: Any) -> float:
    """Return a number that is not negative.

    Args:
        name (str): Of the argument, for the error.
        value (Any): What was given.

    Raises:
        ValueError: If it is another.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not value >= 0
    ):
        raise ValueError(f'{name} must be a number >= 0, but got {value!r}')
    return value


def check_networks_hold_all(model: nn.Module, does: str) -> None:
    """Refuse a model of several networks with parameters outside of them.

    Args:
        model (nn.Module): The model.
        does (str): What is not done with such parameters, and by what.

    Raises:
        ValueError: If it has trainable ones.
    """
    own = [
        name
        for name, param in model.named_parameters(recurse=False)
        if param.requires_grad
    ]
    if own:
        raise ValueError(
            f'{type(model).__name__} has parameters of its own '
            f'({", ".join(own)}), which {does}: move them into one of its '
            f'networks ({", ".join(model._modules)})'
        )
