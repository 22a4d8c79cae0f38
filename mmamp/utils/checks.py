"""Checks of what a user gives."""

import math
from collections.abc import Iterable
from typing import Any


def check_int(
    name: str, value: Any, low: int = 1, high: int | None = None
) -> int:
    """Refuse what is no integer, too small or too large.

    Args:
        name (str): What the user calls it.
        value (Any): What was given; True and False are no integers here.
        low (int): The smallest valid value. Defaults to 1.
        high (int, optional): The largest. Defaults to None: there is none.

    Returns:
        int: The value.

    Raises:
        ValueError: If it is not valid.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or value < low
        or (high is not None and value > high)
    ):
        valid = f'>= {low}' if high is None else f'from {low} to {high}'
        raise ValueError(f'{name} must be an int {valid}, but got {value!r}')
    return value


def check_bool(name: str, value: Any) -> bool:
    """Refuse what is neither True nor False.

    Args:
        name (str): What the user calls it.
        value (Any): What was given.

    Returns:
        bool: The value.

    Raises:
        ValueError: If it is not valid.
    """
    if not isinstance(value, bool):
        raise ValueError(f'{name} must be True or False, but got {value!r}')
    return value


def check_power_of_2(name: str, value: Any, low: int) -> int:
    """Refuse what is no power of 2, or too small.

    Args:
        name (str): What the user calls it.
        value (Any): What was given.
        low (int): The smallest valid value.

    Returns:
        int: Which power of 2 it is.

    Raises:
        ValueError: If it is not valid.
    """
    if not isinstance(value, int) or value < low or value.bit_count() != 1:
        raise ValueError(
            f'{name} must be a power of 2 from {low} on, but got {value!r}'
        )
    return value.bit_length() - 1


def check_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """Refuse what is none of some words.

    Args:
        name (str): What the user calls it.
        value (Any): What was given.
        choices (Iterable[str]): What is valid.

    Returns:
        str: The value.

    Raises:
        ValueError: If it is not valid.
    """
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(
            f'{name}={value!r} is unknown: '
            f'give one of {", ".join(map(repr, choices))}'
        )
    word: str = value
    return word


def check_names(
    name: str, value: Any, choices: Iterable[str]
) -> tuple[str, ...]:
    """Refuse what is no list of some words, or an empty one.

    Args:
        name (str): What the user calls it.
        value (Any): What was given.
        choices (Iterable[str]): What is valid.

    Returns:
        tuple[str, ...]: The words.

    Raises:
        ValueError: If it is not valid.
    """
    choices = tuple(choices)
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError(
            f'{name} must be a list of {", ".join(map(repr, choices))}, '
            f'but got {value!r}'
        )
    return tuple(check_choice(name, word, choices) for word in value)


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


def check_within(name: str, value: Any, low: float, high: float) -> float:
    """Refuse what is no number between two others.

    Args:
        name (str): What the user calls it.
        value (Any): What was given; True and False are no numbers here.
        low (float): The smallest valid value.
        high (float): The largest.

    Returns:
        float: The value.

    Raises:
        ValueError: If it is not valid.
    """
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not low <= value <= high
    ):
        raise ValueError(
            f'{name} must be in [{low}, {high}], but got {value!r}'
        )
    return value


def check_truncation(value: Any, is_psi: bool) -> float | None:
    """Refuse what no images can be truncated by.

    Args:
        value (Any): What was given.
        is_psi (bool): Whether it is StyleGAN2's psi, which may be any number;
            else a threshold of the noise.

    Returns:
        float or None: The value; None is no truncation.

    Raises:
        ValueError: If it is not valid.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if value is None or (
        is_number and math.isfinite(value) and (is_psi or value > 0)
    ):
        number: float | None = value
        return number
    valid = 'a finite number' if is_psi else 'a threshold > 0 of the noise'
    raise ValueError(f'truncation must be {valid} or None, but got {value!r}')
