"""Which penalty on gradients is being computed, by its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_NAME = ContextVar('penalty', default='')


@contextmanager
def named_penalty(name: str) -> Iterator[None]:
    """Say which penalty is computed, to whoever keeps scales for it.

    Args:
        name (str): The same in each update, and no other penalty's.
    """
    token = _NAME.set(name)
    try:
        yield
    finally:
        _NAME.reset(token)


def penalty_name() -> str:
    """Return the name of the penalty that is computed; empty if none has."""
    return _NAME.get()
