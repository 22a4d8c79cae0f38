"""Where a config's checkpoints go, and how they are read from there."""

from pathlib import Path
from shutil import disk_usage
from typing import Any

from mmengine.config import Config

from mmamp.checkpoint.atomic import explained, lacks_room
from mmamp.checkpoint.safe_load import load_by_backend
from mmamp.checkpoint.storage import Storage, join, prefix_of
from mmamp.errors import StorageError

LITTLE = 2**20
"""Bytes: a disk that has less is the one that is full."""


def storage_of(cfg: Config) -> Storage:
    """Return how the checkpoints of a config are read.

    Args:
        cfg (Config): The config.
    """
    hook = _hook(cfg)
    prefix = prefix_of(str(hook.get('out_dir') or ''))
    return Storage(prefix, hook.get('backend_args'))


def out_dir_of(cfg: Config) -> str | None:
    """Return the folder that checkpoints go to, if it is not the work dir.

    Args:
        cfg (Config): With its ``work_dir``.
    """
    out_dir = _hook(cfg).get('out_dir')
    if not out_dir:
        return None
    # As MMEngine's CheckpointHook has it.
    return join(str(out_dir), Path(cfg.work_dir).name)


def load_from_storage(cfg: Config) -> None:
    """Have MMEngine load from the store that a config names.

    Args:
        cfg (Config): Its ``load_from`` may be in another than its
            checkpoints go to.
    """
    for path in (cfg.get('load_from'), _hook(cfg).get('out_dir')):
        if path is not None:
            load_by_backend(str(path), storage_of(cfg))


def storage_error(error: BaseException, cfg: Config) -> StorageError | None:
    """Return an error that says which disk has ended a run, if one has.

    Args:
        error (BaseException): What ended it: a file that mmamp wrote, or one
            of somebody else's that there was no room for.
        cfg (Config): With its ``work_dir``.
    """
    if isinstance(error, StorageError):
        return error
    if not isinstance(error, OSError) or not lacks_room(error):
        return None
    # The system names a file that it does not open, none that it has opened.
    path: Path | None = Path(error.filename or cfg.work_dir)
    if not error.filename and disk_usage(cfg.work_dir).free >= LITTLE:
        path = None
    return StorageError(explained(error, path))


def _hook(cfg: Config) -> dict[str, Any]:
    hook: Any = (cfg.get('default_hooks') or {}).get('checkpoint')
    return hook if isinstance(hook, dict) else {}
