"""Where checkpoints are: on a disk, or in a store behind a prefix."""

import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from mmengine.fileio import get_file_backend

from mmamp.errors import StorageError, UsageError

from .atomic import AtomicLocalBackend

_SUFFIX = '.pth'
PARTS = '.dcp'
"""How the names of folders end that are a checkpoint."""
INDEX = '.metadata'
"""The file in such a folder that makes it one."""


def is_remote(path: str) -> bool:
    """Tell whether a path has a prefix, such as ``s3://``."""
    return '://' in path


def prefix_of(path: str) -> str:
    """Return the prefix of a path in a store, such as ``s3``; else none."""
    return path.partition('://')[0] if is_remote(path) else ''


def is_in_parts(path: str) -> bool:
    """Tell whether a path is that of a folder that is a checkpoint."""
    return not is_remote(path) and Path(path, INDEX).is_file()


def missing(path: str) -> str:
    """Say what is wrong with a path that is not that of a checkpoint.

    Args:
        path (str): As the user gave it.
    """
    if Path(path).suffix == PARTS and Path(path).is_dir():
        return (
            f'checkpoint {path!r} has no {INDEX}: it was not saved to its '
            'end, or was copied without hidden files'
        )
    return f'checkpoint {path!r} does not exist'


def join(folder: str, name: str) -> str:
    """Return the path of a file."""
    if is_remote(folder):
        return f'{folder.rstrip("/")}/{name}'
    return str(Path(folder, name))


def folder_of(path: str) -> str:
    """Return the folder that a file is in."""
    return (
        path.rpartition('/')[0] if is_remote(path) else str(Path(path).parent)
    )


@dataclass(frozen=True)
class Storage:
    """Reads from disks, and from the stores that MMEngine has a backend for.

    Args:
        prefix (str): Of a store, such as ``s3``, which is asked with
            ``backend_args``. Defaults to none.
        backend_args (dict, optional): As of a ``CheckpointHook``. Defaults to
            None.
    """

    prefix: str = ''
    backend_args: dict[str, Any] | None = None

    def has(self, path: str) -> bool:
        """Tell whether there is such a checkpoint: a file, or in parts.

        Raises:
            UsageError: If it is in a store that cannot be asked.
        """
        if not is_remote(path):
            return Path(path).is_file() or is_in_parts(path)
        backend = self.backend(path)
        if not hasattr(backend, 'isfile'):
            return True  # reading it will tell, as with a web server
        return bool(_ask(path, backend.isfile, path))

    def is_dir(self, path: str) -> bool:
        """Tell whether there is such a folder; see :meth:`has`."""
        if not is_remote(path):
            return Path(path).is_dir()
        backend = self.backend(path)
        is_dir = getattr(backend, 'isdir', None)
        return is_dir is not None and bool(_ask(path, is_dir, path))

    def get(self, path: str) -> bytes:
        """Return what is in a file of a store.

        Raises:
            UsageError: If it cannot be read.
        """
        return bytes(_ask(path, self.backend(path).get, path))

    def checkpoints(self, folder: str) -> list[str]:
        """List the checkpoints in a folder, the newest first.

        A store does not tell how old a file is: there it is the one with the
        highest number in its name.

        Raises:
            UsageError: If it is in a store that cannot be asked.
        """
        if not is_remote(folder):
            made = [*Path(folder).glob(f'*{_SUFFIX}')]
            made += Path(folder).glob(f'*{PARTS}/{INDEX}')
            made.sort(key=lambda path: path.stat().st_mtime, reverse=True)
            return [str(x.parent if x.name == INDEX else x) for x in made]
        backend = self.backend(folder)
        if not hasattr(backend, 'list_dir_or_file'):
            return []
        names = _ask(folder, _names, backend, folder)
        names.sort(key=_numbers, reverse=True)
        return [join(folder, name) for name in names]

    def backend(self, path: str) -> Any:
        """Return MMEngine's file backend for a path.

        Raises:
            UsageError: If there is none.
        """
        args = self.backend_args if prefix_of(path) == self.prefix else None
        try:
            return get_file_backend(path, backend_args=args)
        except Exception as error:
            # A KeyError of MMEngine's, or what the backend raises.
            prefix = prefix_of(path)
            raise UsageError(
                f'{path!r}: there is no file backend for {prefix}:// '
                f'({_in_one_line(error)}); a module of custom_imports can '
                'register one with mmengine.fileio.register_backend(NAME, '
                f"CLASS, prefixes='{prefix}', force=True)"
            ) from error


def write(content: dict[str, Any], path: str, backend: Any) -> None:
    """Write a checkpoint.

    Args:
        content (dict): What is in it.
        path (str): Of the file.
        backend (BaseStorageBackend): Where; the atomic one takes no second
            copy in memory.

    Raises:
        StorageError: If it cannot be written.
    """
    if isinstance(backend, AtomicLocalBackend):
        backend.save(content, path)
        return
    with BytesIO() as buffer:
        torch.save(content, buffer)
        try:
            backend.put(buffer.getvalue(), path)
        except Exception as error:
            # Stores have errors of their own.
            raise StorageError(
                f'{path!r} could not be written: {_in_one_line(error)}'
            ) from error


def _ask(path: str, method: Any, *args: Any) -> Any:
    """Ask a store, which answers with errors of its own."""
    try:
        return method(*args)
    except Exception as error:
        raise UsageError(
            f'{path!r} cannot be read: {_in_one_line(error)}'
        ) from error


def _in_one_line(error: Exception) -> str:
    return f'{type(error).__name__}: {" ".join(str(error).split())}'


def _names(backend: Any, folder: str) -> list[str]:
    listed = backend.list_dir_or_file(folder, list_dir=False, suffix=_SUFFIX)
    try:
        return list(listed)
    except FileNotFoundError:
        return []  # nothing was saved there yet


def _numbers(name: str) -> list[int]:
    return [int(number) for number in re.findall(r'\d+', name)]
