"""Files that are there whole, or not at all."""

import errno
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

import torch
from mmengine.fileio import LocalBackend, register_backend
from mmengine.logging import print_log

from mmamp.errors import StorageError
from mmamp.logging.once import LogOnce

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TEMPORARY = '.mmamp.tmp'
"""How files end that are being written."""

_REMEDIES = {
    errno.ENOSPC: 'make room there',
    errno.EDQUOT: 'make room there within your quota',
    errno.EFBIG: 'allow files of that size (ulimit -f)',
}
"""What to do where there is no room."""
_REFUSALS = {
    *(errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF),
    *(errno.EACCES, errno.EPERM, errno.EISDIR),
}
"""What file systems answer that cannot do what they are asked for."""
_warn_once = LogOnce().warn
_open: set[BinaryIO] = set()
"""Files that are being written."""
_no_fork = threading.Lock()
"""Held by who opens or closes one of these."""


@register_backend('mmamp.atomic')
class AtomicLocalBackend(LocalBackend):
    """MMEngine's local files, written atomically.

    A file is written under another name, flushed to the disk and renamed: a
    process that is killed at any moment leaves the old file or the new one,
    never a part. Where writing fails, as on a full disk, nothing is left of
    it, and a ``StorageError`` says what to do.

    Examples:
        >>> default_hooks = dict(
        ...     checkpoint=dict(
        ...         type='CheckpointHook',
        ...         backend_args=dict(backend='mmamp.atomic')))
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file.

        Args:
            obj (bytes): What to write.
            filepath (str or Path): Its path; folders are made.
        """
        with written_whole(Path(filepath)) as file:
            file.write(obj)

    def put_text(
        self, obj: str, filepath: str | Path, encoding: str = 'utf-8'
    ) -> None:
        """Write text to a file; see :meth:`put`."""
        self.put(obj.encode(encoding), filepath)

    def save(self, obj: Any, filepath: str | Path) -> None:
        """Write what ``torch.save`` makes of an object, as it is made.

        Args:
            obj (Any): Such as a checkpoint, of which there is no second copy
                in memory.
            filepath (str or Path): See :meth:`put`.
        """
        with written_whole(Path(filepath)) as file:
            torch.save(obj, file)


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write to, which gets its name when all is written.

    Args:
        path (Path): The name; folders are made.

    Yields:
        BinaryIO: The file.

    Raises:
        StorageError: If it cannot be written. Nothing is left of it.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, file = _create(path)
        try:
            yield file
            file.flush()
            _sync(file.fileno(), path)
            if sys.platform == 'win32':
                _close(file)  # which renames nothing that is open
            # Under its lock still: nobody takes it for a leftover.
            os.replace(temporary, path)
        finally:
            _close(file)
    except BaseException as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if isinstance(error, StorageError):
            raise  # of another file, which it names
        cause = _os_error(error)
        if cause is None:
            raise
        found = StorageError(
            f'{explained(cause, path)}. Nothing of it was left'
        )
        found.errno = cause.errno
        raise found from error
    sync_folder(path.parent)


def remove_leftovers(folder: str) -> bool:
    """Remove what killed processes were writing, and say so.

    What a living one is writing, here or on another machine, stays.

    Args:
        folder (str): Where their files went.

    Returns:
        bool: Whether nobody is writing there.
    """
    is_left = True
    for path in Path(folder).glob(f'.*{TEMPORARY}'):
        try:
            removed = _remove_left(path)
        except OSError as error:
            print_log(f'{path} is left: {error}', logger='current')
            removed = False
        if removed:
            print_log(
                f'Removed {path}, which a process that was killed had been '
                'writing',
                logger='current',
            )
        is_left &= removed
    return is_left


def _remove_left(path: Path) -> bool:
    """Remove a file that nobody is writing."""
    if sys.platform == 'win32':
        path.unlink()  # an error, where it is open
        return True
    with open(path, 'r+b') as file:
        if not _lock(file):
            return False
        path.unlink()
    return True


def _create(path: Path) -> tuple[Path, BinaryIO]:
    """Make a file for what will be another, and lock it while it is open."""
    while True:
        name = f'.{path.name}.{uuid4().hex[:8]}{TEMPORARY}'
        temporary = path.with_name(name)
        with _no_fork:
            file = open(temporary, 'xb')  # noqa: SIM115
            _open.add(file)
        try:
            is_mine = _lock(file)
        except OSError:
            is_mine = True  # a file system without locks
        # Else somebody took it for a leftover before it had its lock.
        if is_mine and temporary.exists():
            return temporary, file
        _close(file)


def _close(file: BinaryIO) -> None:
    """Close a file, which may be closed already."""
    with _no_fork:
        _open.discard(file)
        file.close()


def _leave_to_parent() -> None:
    """Close, in a process that was forked meanwhile, what is being written.

    Such as a worker of a data loader: it would keep the lock of a parent that
    was killed, and the room on the disk of a file that was removed.
    """
    _no_fork.release()
    if _open:
        null = os.open(os.devnull, os.O_WRONLY)
        for file in _open:
            # Whatever its buffer holds goes there.
            os.dup2(null, file.fileno())
        os.close(null)
        _open.clear()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(
        before=_no_fork.acquire,
        after_in_parent=_no_fork.release,
        after_in_child=_leave_to_parent,
    )


def _lock(file: BinaryIO) -> bool:
    """Lock a file until it is closed, if nobody else has.

    A lock goes with its process, however that ends.
    """
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _sync(descriptor: int, path: Path) -> None:
    """Have the disk take what was written, if its file system can."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
        _warn_once(
            f'The file system of {str(path)!r} refuses fsync '
            f'({error.strerror}): what is written is whole after a kill, but '
            'maybe not after a power failure',
            key='fsync',
        )


def sync_folder(folder: Path) -> None:
    """Have the new names in a folder reach the disk, too.

    Args:
        folder (Path): The folder.
    """
    if os.name == 'posix':
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            _sync(descriptor, folder)
        finally:
            os.close(descriptor)


def _os_error(error: BaseException | None) -> OSError | None:
    """Return what the system said; torch puts an error of its own over it."""
    while error is not None and not isinstance(error, OSError):
        error = error.__context__
    return error


def lacks_room(error: OSError) -> bool:
    """Tell whether a file could not be written for lack of room."""
    return error.errno in _REMEDIES


def explained(error: OSError, path: Path | None) -> str:
    """Say what the system said of writing a file, and what to do.

    Args:
        error (OSError): What it said.
        path (Path, optional): The file, or a folder that it is in; None if
            that is unknown.
    """
    code = error.errno or 0
    name = 'a file' if path is None else repr(str(path))
    text = f'{name} could not be written: {error.strerror or error}'
    if code == errno.ENOSPC and path is not None:
        with suppress(OSError):
            free = shutil.disk_usage(path.parent).free / 2**20
            text += f' ({free:.1f} MiB are left)'
    remedy = _REMEDIES.get(code, 'see that its folder can be written to')
    return f'{text}; {remedy}'
