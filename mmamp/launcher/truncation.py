"""``--truncation`` of a command."""

from typing import Any

from mmamp.errors import UsageError


def truncate(model: Any, value: float) -> None:
    """Have a model truncate what it makes.

    Args:
        model (nn.Module): Its ``truncation`` is set.
        value (float): Psi, or the threshold of the noise.

    Raises:
        UsageError: If it has none, or not such a one.
    """
    if not hasattr(model, 'truncation'):
        raise UsageError(
            f'--truncation {value}: {type(model).__name__} has no '
            '`truncation`, leave it out'
        )
    try:
        model.truncation = value
    except ValueError as error:
        raise UsageError(f'--truncation {value}: {error}') from error
