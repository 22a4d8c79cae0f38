"""What mmamp needs of MMEngine beyond its public names: 0.10.7.

The fork ``onedl-mmengine`` has the same.
"""

import inspect
from typing import Any

from mmengine._strategy import DDPStrategy, SingleDeviceStrategy
from mmengine.config import Config
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.registry import Registry
from mmengine.runner import CheckpointLoader, FlexibleRunner, Runner
from mmengine.runner.loops import _InfiniteDataloaderIterator

__all__ = ['DDPStrategy', 'ParamScheduler', 'SingleDeviceStrategy']

ParamScheduler = _ParamScheduler


# ---- configs ----------------------------------------------------------------


def raw(cfg: Config | dict[str, Any], key: str) -> Any:
    """Return a value of a config as it is stored; None if there is none.

    A ``ConfigDict``'s own ``get`` imports what a lazy config names.

    Args:
        cfg (Config or dict): The config, or a dict of it.
        key (str): At its top.
    """
    values = cfg._cfg_dict if isinstance(cfg, Config) else cfg
    return dict.get(values, key)


def raw_values(cfg: Config) -> list[Any]:
    """Return all values of a config, as they are stored.

    Args:
        cfg (Config): The config.
    """
    return list(dict.values(cfg._cfg_dict))


def forget_filename(cfg: Config) -> None:
    """Have the Runner save a config under another name than its file's.

    Args:
        cfg (Config): Changed in place.
    """
    object.__setattr__(cfg, '_filename', None)


def is_lazy(path: str) -> bool:
    """Tell whether a config file is one in pure Python.

    Args:
        path (str): Of the file.
    """
    return bool(Config._is_lazy_import(path))


def scope_of(root: Registry, name: str) -> Registry | None:
    """Return the child of a root registry that has a scope.

    Args:
        root (Registry): The root.
        name (str): The scope.
    """
    found: Registry | None = root._search_child(name)
    return found


# ---- runners and loops ------------------------------------------------------


def runner_arguments() -> list[str]:
    """List what MMEngine's runners take from the top of a config."""
    names = {
        name: None
        for runner in (Runner, FlexibleRunner)
        for name in inspect.signature(runner).parameters
    }
    return [name for name in names if name != 'cfg']


def is_resuming(runner: Any) -> bool:
    """Tell whether a run goes on from a checkpoint.

    Args:
        runner (Runner): Built.
    """
    return bool(runner._resume)


def loaded_from(runner: Any) -> str | None:
    """Return the checkpoint that a run begins with.

    Args:
        runner (Runner): Built.
    """
    path: str | None = runner._load_from
    return path


def is_stock_iterator(iterator: Any) -> bool:
    """Tell whether an iteration-based loop's iterator is MMEngine's own.

    Args:
        iterator (Any): The loop's ``dataloader_iterator``.
    """
    return type(iterator) is _InfiniteDataloaderIterator


def begun_iterator(iterator: Any) -> Any:
    """Return the iterator over the loader that a stock one has begun.

    Args:
        iterator (Any): The loop's ``dataloader_iterator``.
    """
    return iterator._iterator


def checkpoint_loaders() -> dict[str, Any]:
    """Return MMEngine's loaders of checkpoints, by patterns of paths."""
    return dict(CheckpointLoader._schemes)


# ---- optimizer wrappers -----------------------------------------------------

ON_OPTIMIZERS = frozenset({'_global_step'})
"""Attributes that an optimizer has of MMEngine's schedulers."""


def accumulative_counts(wrapper: Any) -> int:
    """Return the micro-batches in a window of an optimizer wrapper.

    Args:
        wrapper (OptimWrapper): MMEngine's or one of its subclasses.
    """
    counts: int = wrapper._accumulative_counts
    return counts


def let_schedulers_step(wrapper: Any) -> None:
    """Have schedulers not warn of an order that is right.

    They count iterations, and warn where the first of them has no ``step()``:
    in a window of micro-batches it comes later, and to a generator when it
    has its turn.

    Args:
        wrapper (OptimWrapper): Whose training begins.
    """
    if getattr(wrapper, '_global_step', 0) < 0:
        wrapper._global_step = 0
