"""Errors of an optimizer's own code, which name it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from traceback import extract_tb, walk_tb

import torch
from torch.optim import Optimizer

from mmamp.errors import OptimizerError, UsageError
from mmamp.utils.modules import with_inner

_OF_THE_MACHINE = (
    MemoryError,
    torch.cuda.OutOfMemoryError,
    torch.distributed.DistError,
)
_NO_MEMORY = 'DefaultCPUAllocator'
"""What a CPU's allocator says first, in a RuntimeError."""


@contextmanager
def naming_step(
    optimizer: Optimizer, who: str, others: Sequence[Exception] = ()
) -> Iterator[None]:
    """Have an error of a step say whose it is.

    Args:
        optimizer (Optimizer): That is stepped; of those inside of it the one
            is named that has failed.
        who (str): Its wrapper, with the name in the config.
        others (Sequence[Exception]): What code has raised that it calls;
            looked at when the step has failed. Defaults to none.

    Raises:
        OptimizerError: In place of what its own code raises; errors that are
            told in one line already, and those of memory or of other ranks,
            stay.
    """
    try:
        yield
    except (UsageError, *_OF_THE_MACHINE):
        raise
    except Exception as error:
        if error in others or _NO_MEMORY in str(error):
            raise
        cls = type(_failed(optimizer, error))
        package = cls.__module__.partition('.')[0]
        raise OptimizerError(
            f'{who}: the step of {cls.__name__} ({package}) has failed: '
            f'{_words(error)}'
        ) from error


def _failed(optimizer: Optimizer, error: Exception) -> Optimizer:
    """Return which optimizer's code has raised an error."""
    found = optimizer
    for frame, _ in walk_tb(error.__traceback__):
        own = frame.f_locals.get('self')
        found = next((x for x in with_inner(optimizer) if x is own), found)
    return found


def _words(error: Exception) -> str:
    """Return an error in one line; if it says nothing, what has raised it."""
    *_, last = extract_tb(error.__traceback__)
    text = ' '.join(str(error).split()) or f'`{last.line}`'
    return f'{type(error).__name__}: {text}'
