"""Checkpoints that load with ``weights_only=True``."""

import codecs
import logging
import os
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer, print_log

from mmamp.config.launch import UsageError

_HISTORY = 'mmamp.history'


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
    """Numpy's module of that name.

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
    """A function of another name: torch before 2.5 takes no pair of both."""

    def named(*args: Any) -> Any:
        return function(*args)

    named.__module__, _, named.__qualname__ = name.rpartition('.')
    named.__name__ = named.__qualname__
    return named


def _history_method(owner: Any, name: str) -> Any:
    """What ``getattr`` may do inside of a checkpoint, and no more."""
    if owner is HistoryBuffer and name in ('min', 'max', 'mean', 'current'):
        return getattr(HistoryBuffer, name)
    raise UnpicklingError(
        f'a checkpoint may not ask for attribute {name!r} of {owner!r}'
    )


def plain(value: Any) -> Any:
    """A copy that needs no allow-list to be loaded.

    Args:
        value (Any): Numbers, strings, tensors, numpy's, and containers of
            them.

    Returns:
        Any: numpy's scalars and arrays as numbers and lists, containers as
        dict, list and tuple.

    Raises:
        TypeError: If it holds anything else.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    for base in (int, float, str):
        if isinstance(value, base):  # a subclass would be pickled by name
            return base(value)
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if type(value) is torch.Tensor:
        return value
    if isinstance(value, Mapping):
        return {plain(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        items = [plain(v) for v in value]
        return tuple(items) if isinstance(value, tuple) else items
    raise TypeError(f'{type(value).__module__}.{type(value).__qualname__}')


def plain_history(buffer: HistoryBuffer) -> dict[str, Any]:
    """A ``HistoryBuffer`` as lists of numbers."""
    log, count = buffer.data
    return {
        _HISTORY: log.tolist(),
        'count': count.tolist(),
        'max_length': int(buffer.max_length),
    }


def history_from(value: Any) -> Any:
    """Undo :func:`plain_history`; anything else stays what it is."""
    if not (isinstance(value, dict) and _HISTORY in value):
        return value
    return HistoryBuffer(value[_HISTORY], value['count'], value['max_length'])


def without_wrapper(state: Any) -> Any:
    """A model's state under the model's own names.

    MMEngine's strategies save that of the model wrapper.

    Args:
        state (dict): Of a model, or of one in a model wrapper.
    """
    if not all(name.startswith('module.') for name in state):
        return state
    found: Any = OrderedDict(
        (name.removeprefix('module.'), value) for name, value in state.items()
    )
    found._metadata = OrderedDict(
        (name.removeprefix('module').removeprefix('.'), value)
        for name, value in getattr(state, '_metadata', {}).items()
    )
    return found


def read_checkpoint(path: str) -> Any:
    """What is in a checkpoint.

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
    """Weights of a network that mmamp does not train, from a local file.

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


def check_checkpoint(path: str) -> dict[str, Any]:
    """Make sure that a run can go on from a checkpoint.

    Args:
        path (str): Of the file.

    Returns:
        dict: Its ``meta``.

    Raises:
        UsageError: If it does not exist, cannot be read or is not complete.
    """
    checkpoint = read_checkpoint(path)
    needed = ('state_dict', 'meta', 'message_hub')
    if not isinstance(checkpoint, dict):
        checkpoint = {}
    missing = [key for key in needed if key not in checkpoint]
    if missing:
        raise UsageError(
            f'checkpoint {path!r} cannot be resumed from, since it lacks '
            f'{", ".join(missing)}; weights alone are loaded with '
            '--cfg-options load_from=PATH'
        )
    meta: dict[str, Any] = checkpoint['meta']
    return meta


def latest_checkpoint(
    work_dir: str, out_dir: str | None = None
) -> tuple[str, dict[str, Any]] | None:
    """The latest checkpoint that a run can go on from.

    What ``last_checkpoint`` names comes first, then its neighbours, newest
    first. One that cannot be used is left out with a warning.

    Args:
        work_dir (str): The work dir of the run.
        out_dir (str, optional): Where its checkpoints go. Defaults to None:
            the work dir.

    Returns:
        tuple[str, dict] or None: Its path and its ``meta``; None if there is
        no checkpoint at all.

    Raises:
        UsageError: If there are checkpoints, but none that can be used.
    """
    broken = []
    for path in _candidates(work_dir, out_dir or work_dir):
        try:
            meta = check_checkpoint(path)
        except UsageError as error:
            print_log(
                f'{error}; trying the one before',
                logger='current',
                level=logging.WARNING,
            )
            broken.append(path)
            continue
        return path, meta
    if broken:
        raise UsageError(
            f'none of the checkpoints in {work_dir!r} can be resumed from: '
            f'{", ".join(broken)}'
        )
    return None


def _candidates(work_dir: str, out_dir: str) -> list[str]:
    """Checkpoints of a work dir, the one to go on from first."""
    file = Path(work_dir, 'last_checkpoint')
    named = file.read_text().strip() if file.is_file() else ''
    folders = {Path(work_dir).absolute(), Path(out_dir).absolute()}
    if named:
        # The work dir may have been moved, or copied.
        here = [f / Path(named).name for f in folders]
        named = next((str(p) for p in here if p.is_file()), named)
        folders.add(Path(named).absolute().parent)
    found = [
        path
        for folder in folders
        for path in folder.glob('*.pth')
        if not path.name.startswith(('.', 'best_', 'last_finite_'))
    ]
    found.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    names = [str(Path(named).absolute())] if named else []
    return names + [str(p) for p in found if str(p) not in names]


def _reason(error: UnpicklingError) -> str:
    """The one line of torch's page of advice that says what was met."""
    lines = [
        line.strip()
        for line in str(error).splitlines()
        if line.strip() and not line.startswith('Check the documentation')
    ]
    reason = lines[-1].removeprefix('WeightsUnpickler error: ')
    return reason.partition('. Please use')[0]
