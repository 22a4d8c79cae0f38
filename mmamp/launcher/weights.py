"""Weights to test, or to sample from."""

import os
from pathlib import Path
from typing import Any

from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from mmamp.checkpoint.fit import misfits, such_as
from mmamp.checkpoint.latest import latest_checkpoint
from mmamp.checkpoint.safe_load import DISK, read_checkpoint
from mmamp.checkpoint.storage import (
    PARTS,
    Storage,
    is_in_parts,
    is_remote,
    missing,
)
from mmamp.errors import UsageError


def find_checkpoint(path: str, storage: Storage = DISK) -> str:
    """Return the file that a command line means.

    Args:
        path (str): Of a checkpoint, or of a work dir with some.
        storage (Storage): Where it is. Defaults to a disk, or what MMEngine
            has for its prefix.

    Raises:
        UsageError: If there is none.
    """
    path = path if is_remote(path) else os.path.expanduser(path)
    if is_in_parts(path):
        return path
    if not storage.is_dir(path) or Path(path).suffix == PARTS:
        if not storage.has(path):
            raise UsageError(missing(path))
        return path
    found = latest_checkpoint(path, storage=storage)
    if found is None:
        raise UsageError(f'there is no checkpoint in {path!r}')
    return found[0]


def training_seed(path: str, storage: Storage = DISK) -> int:
    """Return the seed of the run that saved a checkpoint; else 0.

    Args:
        path (str): Of the file.
        storage (Storage): Where it is; see :func:`find_checkpoint`.
    """
    meta = _meta_of(read_checkpoint(path, storage, keys=()))
    return number_in(meta, 'seed') or 0


def _meta_of(checkpoint: Any) -> dict[str, Any]:
    found = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    return found if isinstance(found, dict) else {}


def number_in(meta: dict[str, Any], key: str) -> int | None:
    """Return a number of a checkpoint's ``meta``; None if it has none.

    Args:
        meta (dict): As :func:`load_weights` returns it.
        key (str): Such as ``'iter'``.
    """
    found = meta.get(key)
    return found if isinstance(found, int) else None


def load_weights(
    model: nn.Module, path: str, storage: Storage = DISK
) -> dict[str, Any]:
    """Load a model's weights, all of them or none.

    MMEngine would log what does not fit, and go on.

    Args:
        model (nn.Module): Changed in place.
        path (str): Of a checkpoint, or of a bare state dict.
        storage (Storage): Where it is; see :func:`find_checkpoint`.

    Returns:
        dict: What the checkpoint says of its run, its ``meta``; empty if it
        says nothing.

    Raises:
        UsageError: If it does not hold all of the model's weights.
    """
    checkpoint = read_checkpoint(path, storage, keys=('state_dict',))
    given: Any = {}
    if isinstance(checkpoint, dict):
        given = checkpoint.get('state_dict', checkpoint)
    if not isinstance(given, dict):
        given = {}
    wanted = model.state_dict()
    if wrong := misfits(wanted, given):
        raise UsageError(
            f'{path!r} holds other weights than the config has: '
            f'{len(wrong)} of {len(wanted)} do not fit, such as '
            f'{such_as(wrong)}; give the config that it was trained with '
            '(its work dir holds it)'
        )
    # MMEngine's own, which knows of model wrappers in the model.
    load_state_dict(model, given)
    return _meta_of(checkpoint)
