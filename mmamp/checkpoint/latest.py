"""The checkpoint that a run goes on from."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.logging import print_log

from mmamp.errors import UsageError

from .safe_load import DISK, read_checkpoint
from .storage import Storage, folder_of, is_remote, join

_NOT_OF_A_RUN = ('.', 'best_', 'last_finite_')


def check_checkpoint(path: str, storage: Storage = DISK) -> dict[str, Any]:
    """Make sure that a run can go on from a checkpoint.

    Args:
        path (str): Of the file.
        storage (Storage): Where it is; see :func:`read_checkpoint`.

    Returns:
        dict: Its ``meta``.

    Raises:
        UsageError: If it does not exist, cannot be read or is not complete.
    """
    checkpoint = read_checkpoint(path, storage, keys=())
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
    work_dir: str, out_dir: str | None = None, storage: Storage = DISK
) -> tuple[str, dict[str, Any]] | None:
    """Find the latest checkpoint that a run can go on from.

    What ``last_checkpoint`` names comes first, then its neighbours, newest
    first. One that cannot be used is left out with a warning.

    Args:
        work_dir (str): The work dir of the run.
        out_dir (str, optional): Where its checkpoints go. Defaults to None:
            the work dir.
        storage (Storage): How they are read; see :func:`read_checkpoint`.

    Returns:
        tuple[str, dict] or None: Its path and its ``meta``; None if there is
        no checkpoint at all.

    Raises:
        UsageError: If there are checkpoints, but none that can be used.
    """
    broken = []
    for path in _candidates(work_dir, out_dir or work_dir, storage):
        try:
            meta = check_checkpoint(path, storage)
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


def _candidates(
    work_dir: str, out_dir: str, storage: Storage
) -> Iterator[str]:
    """List the checkpoints of a run, the one to go on from first.

    The folders are looked into only where that is none to go on from.
    """
    file = Path(work_dir, 'last_checkpoint')
    named = file.read_text().strip() if file.is_file() else ''
    folders = [_absolute(out_dir), _absolute(work_dir)]
    if named:
        # The work dir may have been moved, or copied.
        here = [join(f, Path(named).name) for f in folders]
        named = next((p for p in here if storage.has(p)), named)
        named = _absolute(named)
        folders.append(folder_of(named))
        yield named
    for folder in dict.fromkeys(folders):
        for path in storage.checkpoints(folder):
            if path != named and not Path(path).name.startswith(_NOT_OF_A_RUN):
                yield path


def _absolute(path: str) -> str:
    return path if is_remote(path) else str(Path(path).absolute())
