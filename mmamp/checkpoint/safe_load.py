"""Checkpoints that load with ``weights_only=True``."""

import codecs
import os
import re
import zipfile
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.fileio import HTTPBackend
from mmengine.fileio.backends import prefix_to_backends
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from mmamp.compat.mmengine import checkpoint_loaders
from mmamp.errors import UsageError

from .parts import read_parts
from .storage import (
    PARTS,
    Storage,
    is_in_parts,
    is_remote,
    missing,
    prefix_of,
)

DISK = Storage()
_OLD = b'\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.'
_FORCE = ('TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD')


def load_safely_only() -> None:
    """Have MMEngine load checkpoints with ``weights_only=True`` alone.

    Whatever loader of MMEngine's reads them; other calls of ``torch.load`` in
    this process, and in its children, are left to those who make them. Also
    allows what MMEngine's own checkpoints hold.
    """
    allow_mmengine_globals()
    for prefix, loader in checkpoint_loaders().items():
        if not isinstance(loader, _SafeLoader):
            loader = _SafeLoader(loader)
            CheckpointLoader.register_scheme(prefix, loader, force=True)


def load_by_backend(path: str, storage: Storage) -> None:
    """Have MMEngine load what is beside a path by its file backend.

    Its own loaders know but that of ``s3://`` which needs a package that is
    not public.

    Args:
        path (str): Of a checkpoint, or of a folder.
        storage (Storage): Where it is. On a disk MMEngine needs no help.
    """
    prefix = prefix_of(path)
    backend = prefix_to_backends.get(prefix)
    has_own = any(re.match(p, path) for p in checkpoint_loaders() if p)
    if not is_remote(path) or backend is HTTPBackend:
        return
    if backend is None and has_own:
        return  # such as torchvision://

    def load_from_storage(filename: str, map_location: Any = None) -> Any:
        return read_checkpoint(filename, storage, map_location)

    CheckpointLoader.register_scheme(
        re.escape(f'{prefix}://'), load_from_storage, force=True
    )


def load_from_parts(filename: str, map_location: Any = None) -> Any:
    """Read a checkpoint in parts, for MMEngine.

    Args:
        filename (str): Of the folder.
        map_location (Any): Where tensors go. Defaults to None: the CPU.
    """
    allow_mmengine_globals()
    return read_checkpoint(os.path.expanduser(filename), DISK, map_location)


CheckpointLoader.register_scheme(
    rf'.+{re.escape(PARTS)}[/\\]*$', load_from_parts
)


class _SafeLoader:
    """A loader of MMEngine's that runs nothing that a checkpoint holds."""

    def __init__(self, loader: Callable[..., Any]) -> None:
        self._loader = loader
        # MMEngine logs it.
        self.__name__ = loader.__name__

    def __call__(self, filename: str, map_location: Any = None) -> Any:
        if is_in_parts(filename):  # under another name than it was saved by
            return load_from_parts(filename, map_location)
        with _weights_only():
            try:
                return self._loader(filename, map_location)
            except UnpicklingError as error:
                raise _refused(filename, error) from error


@contextmanager
def _weights_only() -> Iterator[None]:
    """Force ``weights_only`` on calls of others, which do not give it."""
    kept = {name: os.environ.pop(name, None) for name in _FORCE}
    os.environ[_FORCE[0]] = '1'
    try:
        yield
    finally:
        del os.environ[_FORCE[0]]
        os.environ.update({k: v for k, v in kept.items() if v is not None})


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


def read_checkpoint(
    path: str,
    storage: Storage = DISK,
    map_location: Any = 'cpu',
    keys: Container[str] | None = None,
    old: bool = False,
) -> Any:
    """Read what is in a checkpoint.

    Args:
        path (str): Of the file, whose tensors are mapped, not read, where it
            is on a disk; or of a folder that is a checkpoint in parts.
        storage (Storage): Where it is. Defaults to a disk, or what MMEngine
            has for its prefix.
        map_location (Any): As of ``torch.load``. Defaults to ``'cpu'``.
        keys (Container[str], optional): At the top of the checkpoint, whose
            tensors are needed: of one in parts no others are read, but are on
            ``meta``. Defaults to None: all.
        old (bool): Whether files as torch wrote them before 1.6 are read too.
            Defaults to False.

    Returns:
        Any: A dict, if it is a checkpoint of MMEngine's.

    Raises:
        UsageError: If it does not exist or cannot be read.
    """
    if not storage.has(path):
        raise UsageError(missing(path))
    if is_in_parts(path):
        return read_parts(path, map_location, keys)
    remote = is_remote(path)
    file: Any = BytesIO(storage.get(path)) if remote else path
    is_zip = zipfile.is_zipfile(file)
    if remote:
        file.seek(0)
    if not is_zip and not (old and not remote and _is_old(path)):
        raise UsageError(
            f'checkpoint {path!r} cannot be read: it is cut short, or was '
            'not written by torch.save'
        )
    try:
        return torch.load(
            file,
            map_location=map_location,
            weights_only=True,
            mmap=is_zip and not remote,
        )
    except UnpicklingError as error:
        raise _refused(path, error) from error
    except Exception as error:
        # Truncated and foreign files raise whatever the reader met.
        raise UsageError(
            f'checkpoint {path!r} cannot be read: {error}'
        ) from error


def _is_old(path: str) -> bool:
    """Tell whether a file begins as those of torch before 1.6 do."""
    with open(path, 'rb') as file:
        return file.read(len(_OLD)) == _OLD


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


def _refused(path: str, error: UnpicklingError) -> UsageError:
    return UsageError(
        f'checkpoint {path!r} holds what torch.load(weights_only=True) does '
        f'not allow: {_reason(error)}'
    )


def _reason(error: UnpicklingError) -> str:
    """Find the one line of torch's page of advice that says what was met."""
    lines = [
        line.strip()
        for line in str(error).splitlines()
        if line.strip() and not line.startswith('Check the documentation')
    ]
    reason = lines[-1].removeprefix('WeightsUnpickler error: ')
    return reason.partition('. Please use')[0]
