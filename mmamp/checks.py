"""Checks of what a user gives."""

from typing import Any


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
