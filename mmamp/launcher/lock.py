"""One run at a time in a work dir."""

import json
import logging
import os
import socket
import time
from argparse import Namespace
from pathlib import Path
from types import TracebackType
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmamp.distributed.ranks import rank_of_process
from mmamp.errors import UsageError

from .run import make_work_dir

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]

FILE = '.run.lock'
PATIENCE = 60.0
"""Seconds that a resumed run waits: the one before it may be saving yet."""
_HELD = (PermissionError, BlockingIOError)


class WorkDirLock:
    """Holds a work dir as long as a run lasts.

    By a lock of the system's, which ends with the process however that ends,
    and which NFS hands on from machine to machine: nobody has to judge
    whether it is stale. Not the ``flock`` of the package ``filelock``, which
    forked workers of data loaders go on holding when their run was killed.
    The file tells who has it, and keeps telling where a run was ended at once.
    A run that is resumed waits for :data:`PATIENCE` seconds: the ranks of one
    whose torchrun was killed save before they end.

    Examples:
        >>> cfg = Config(dict(work_dir='work_dirs/locked', launcher='none'))
        >>> with WorkDirLock() as lock:
        ...     lock.take(cfg, Namespace(resume=None))
    """

    def __init__(self) -> None:
        self._file: int | None = None

    def take(self, cfg: Config, args: Namespace) -> None:
        """Hold the work dir of a config; the first of several ranks does.

        An edit that changes nothing, before any that looks for a checkpoint.

        Args:
            cfg (Config): With ``work_dir`` and ``launcher``.
            args (argparse.Namespace): With ``resume``.

        Raises:
            UsageError: If another run has it, or it cannot be made.
        """
        if rank_of_process(cfg.launcher):
            return
        make_work_dir(cfg)
        path = Path(cfg.work_dir, FILE)
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise UsageError(
                f'{str(path)!r}, the lock of the work dir, cannot be opened: '
                f'{error.strerror}'
            ) from error
        before = _read(file)
        try:
            resumes = args.resume is not None or cfg.get('resume')
            _lock(file, PATIENCE if resumes else 0)
        except _HELD as error:
            os.close(file)
            raise UsageError(
                f'work dir {cfg.work_dir!r} is in use by {_who(before)}: wait '
                'for that run or end it, or give this one another folder with '
                '--work-dir'
            ) from error
        except OSError as error:
            os.close(file)
            print_log(
                f'{path}: {error.strerror}: a second run in this work dir '
                'would not be noticed',
                logger='current',
                level=logging.WARNING,
            )
            return
        self._file = file
        if before:
            _tell_of(before, cfg.work_dir)
        _write(file, _own())

    def __enter__(self) -> 'WorkDirLock':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            _write(self._file, {})
            os.close(self._file)
            self._file = None


def _lock(file: int, patience: float) -> None:
    """Lock a file, within so many seconds."""
    if fcntl is None:
        raise OSError(0, 'there are no such locks on Windows')
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except _HELD:
            if time.monotonic() >= end:
                raise
        if patience:
            print_log(
                f'The work dir is in use by {_who(_read(file))}, which may be '
                f'saving: waiting for it, up to {patience:.0f} s',
                logger='current',
            )
            patience = 0
        time.sleep(0.2)


def _own() -> dict[str, Any]:
    since = time.strftime('%Y-%m-%d %H:%M:%S')
    return dict(pid=os.getpid(), host=socket.gethostname(), since=since)


def _tell_of(before: dict[str, Any], work_dir: str) -> None:
    """Tell of a run that has not let go of its lock by itself."""
    is_here = before.get('host') == socket.gethostname()
    text = (
        f'The last run in {work_dir!r}, {_who(before)}, was ended at once; '
        'its lock is taken over'
    )
    if is_here:
        print_log(text, logger='current')
        return
    print_log(
        f'{text}. If it still runs, end one of the two: then the file system '
        'does not share its locks between machines',
        logger='current',
        level=logging.WARNING,
    )


def _who(holder: dict[str, Any]) -> str:
    if not holder:
        return 'another process'
    return (
        f'process {holder.get("pid")} on {holder.get("host")} since '
        f'{holder.get("since")}'
    )


def _read(file: int) -> dict[str, Any]:
    """Return what a lock's file tells; nothing where it is not written yet."""
    try:
        found = json.loads(os.pread(file, 4096, 0) or b'{}')
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _write(file: int, content: dict[str, Any]) -> None:
    os.ftruncate(file, 0)
    if content:
        os.pwrite(file, json.dumps(content).encode(), 0)
