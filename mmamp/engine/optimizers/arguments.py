"""Arguments of MMEngine's wrapper, which are given in two orders."""

from typing import Any

from torch.optim import Optimizer

_DEFAULTS = dict(loss_scale='dynamic', dtype=None, use_fsdp=False)
_POSITIONAL = tuple(_DEFAULTS)
"""What MMEngine's wrapper takes by position."""


def take_positional(
    args: tuple[Any, ...], optimizer: Any, given: dict[str, Any]
) -> Any:
    """Tell positional arguments apart; return the optimizer.

    Args:
        args (tuple): By position: the optimizer, or none, then as MMEngine's
            wrapper takes them.
        optimizer (Optimizer, optional): By name.
        given (dict): Of the others, by name; gets those of ``args``.

    Raises:
        TypeError: If there is no optimizer, or something is given twice.
    """
    if args and isinstance(args[0], Optimizer):
        if optimizer is not None:
            raise TypeError('the optimizer is given twice')
        optimizer, args = args[0], args[1:]
    if len(args) > len(_POSITIONAL):
        raise TypeError(
            'at most the optimizer and '
            f'{", ".join(_POSITIONAL)} can be given by position, but got '
            f'{args!r}'
        )
    for name, value in zip(_POSITIONAL, args, strict=False):
        if given[name] != _DEFAULTS[name]:
            raise TypeError(
                f'{name} is given twice: {value!r}, {given[name]!r}'
            )
        given[name] = value
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f'optimizer must be a torch.optim.Optimizer, but got {optimizer!r}'
        )
    return optimizer
