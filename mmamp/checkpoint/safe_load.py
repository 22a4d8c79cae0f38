"""Checkpoints that load with ``weights_only=True``."""

import codecs
import os
import zipfile
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mmamp.errors import UsageError


def load_safely_only() -> None:
    """Make every ``torch.load`` of this process refuse foreign code.

    Also allows what MMEngine's own checkpoints hold. Releases of torch before
    2.6 load pickles unchecked unless they are told not to.
    """
    os.environ.pop('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', None)
    os.environ['TORCH_FORCE_WEIGHTS_ONLY_LOAD'] = '1'
    allow_mmengine_globals()


def allow_mmengine_globals() -> None:
    """Let ``weights_only`` loading accept MMEngine's message hub.

    That is ``HistoryBuffer``, whose pickles hold numpy arrays and, by way of
    ``builtins.getattr``, its own statistics methods: for ``getattr`` a
    stand-in answers, which knows nothing else.
    """
    multiarray = _multiarray()
    harmless: list[Any] = [
        HistoryBuffer,
        np.ndarray,
        np.dtype,
        multiarray._reconstruct,
        multiarray.scalar,
        # Of bytes; torch before 2.5 does not know it.
        codecs.encode,
    ]
    harmless += {type(np.dtype(code)) for code in '?bhilqBHILQefd'}
    torch.serialization.add_safe_globals(harmless)
    # Pickles of numpy 1 name its modules otherwise.
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        _allow_as(multiarray._reconstruct, f'{module}._reconstruct')
        _allow_as(multiarray.scalar, f'{module}.scalar')
    _allow_as(_history_method, 'builtins.getattr')


def _multiarray() -> Any:
    """Import the module of numpy's that is called ``multiarray``.

    numpy 1.26 has a ``_core`` too, with modules that nobody imported yet.
    """
    try:
        return import_module('numpy._core.multiarray')
    except ImportError:
        return import_module('numpy.core.multiarray')


def _allow_as(function: Callable[..., Any], name: str) -> None:
    """Allow a function under the name that pickles have for it."""
    torch.serialization.add_safe_globals([_named(function, name)])


@cache
def _named(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Wrap a function under another name.

    torch before 2.5 takes no pair of a function and a name.
    """

    def named(*args: Any) -> Any:
        return function(*args)

    named.__module__, _, named.__qualname__ = name.rpartition('.')
    named.__name__ = named.__qualname__
    return named


def _history_method(owner: Any, name: str) -> Any:
    """Do what ``getattr`` may do inside of a checkpoint, and no more."""
    if owner is HistoryBuffer and name in ('min', 'max', 'mean', 'current'):
        return getattr(HistoryBuffer, name)
    raise UnpicklingError(
        f'a checkpoint may not ask for attribute {name!r} of {owner!r}'
    )


def read_checkpoint(path: str) -> Any:
    """Read what is in a checkpoint.

    Args:
        path (str): Of the file; its tensors are mapped, not read.

    Returns:
        Any: A dict, if it is a checkpoint of MMEngine's.

    Raises:
        UsageError: If it does not exist or cannot be read.
    """
    if not os.path.isfile(path):
        raise UsageError(f'checkpoint {path!r} does not exist')
    if not zipfile.is_zipfile(path):
        raise UsageError(
            f'checkpoint {path!r} cannot be read: it is cut short, or was '
            'not written by torch.save'
        )
    try:
        return torch.load(
            path, map_location='cpu', weights_only=True, mmap=True
        )
    except UnpicklingError as error:
        raise UsageError(
            f'checkpoint {path!r} holds what torch.load(weights_only=True) '
            f'does not allow: {_reason(error)}'
        ) from error
    except Exception as error:
        # Truncated and foreign files raise whatever the reader met.
        raise UsageError(
            f'checkpoint {path!r} cannot be read: {error}'
        ) from error


def read_weights(path: str, user: str, hint: str) -> dict[str, Any]:
    """Read weights that mmamp does not train, from a local file.

    Args:
        path (str): Of a state dict.
        user (str): What needs it.
        hint (str): Where to get the file.

    Returns:
        dict[str, Tensor]: The state dict.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, or is no state dict.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(
            f'{user}: there is no file {path!r} (working directory: '
            f'{str(Path.cwd())!r}): {hint}'
        )
    try:
        state = read_checkpoint(path)
    except UsageError as error:
        raise ValueError(f'{user}: {error}; {hint}') from error
    if not isinstance(state, dict):
        raise ValueError(
            f'{user}: {path!r} holds a {type(state).__name__} instead of a '
            f'state dict; {hint}'
        )
    return state


def _reason(error: UnpicklingError) -> str:
    """Find the one line of torch's page of advice that says what was met."""
    lines = [
        line.strip()
        for line in str(error).splitlines()
        if line.strip() and not line.startswith('Check the documentation')
    ]
    reason = lines[-1].removeprefix('WeightsUnpickler error: ')
    return reason.partition('. Please use')[0]
