"""What a config says of its optimizers, precision apart."""

from collections.abc import Iterable
from typing import Any

from mmengine.config import Config

from mmamp.errors import UsageError
from mmamp.utils.suggest import did_you_mean


def enable_auto_scale_lr(cfg: Config) -> None:
    """Switch on the learning-rate scaling that the config prepares.

    Args:
        cfg (Config): The config, changed in place.

    Raises:
        UsageError: If it has no ``auto_scale_lr.base_batch_size``.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise UsageError(
            '--auto-scale-lr: the config has no '
            'auto_scale_lr=dict(base_batch_size=...), the batch size that '
            'its learning rate is meant for'
        )
    cfg.auto_scale_lr.enable = True


def check_constructor(cfg: Config) -> None:
    """Refuse several optimizers that nothing would build.

    Args:
        cfg (Config): The config.

    Raises:
        UsageError: If there is an entry for each network, but no constructor.
    """
    wrapper = cfg.get('optim_wrapper')
    if not isinstance(wrapper, dict) or 'constructor' in wrapper:
        return
    entries = _entries(wrapper)
    if entries and 'optimizer' not in wrapper:
        raise UsageError(
            f'optim_wrapper has an entry for {" and ".join(entries)}, but no '
            'constructor that builds one optimizer for each: add '
            "constructor='mmamp.OptimWrapperConstructor'"
        )


def check_schedulers(cfg: Config) -> None:
    """Refuse learning-rate schedules of optimizers that there are not.

    Args:
        cfg (Config): The config.

    Raises:
        UsageError: If ``param_scheduler`` has a dict of schedules by
            optimizers, and other names in it than ``optim_wrapper``.
    """
    schedulers: Any = cfg.get('param_scheduler')
    wrapper = cfg.get('optim_wrapper')
    if not isinstance(schedulers, dict) or 'type' in schedulers:
        return
    if not isinstance(wrapper, dict) or 'optimizer' in wrapper:
        return
    entries = _entries(wrapper)
    if entries and set(entries) != set(schedulers):
        hints = ''.join(
            did_you_mean(name, entries)
            for name in schedulers
            if name not in entries
        )
        raise UsageError(
            f'param_scheduler has schedules of {_listed(schedulers)}, but the '
            f'optimizers are {_listed(entries)}: give each of them a list, '
            f'which may be empty.{hints}'
        )


def _entries(wrapper: dict[str, Any]) -> list[str]:
    """Names of the optimizers of a config that has several."""
    return [
        name
        for name, entry in wrapper.items()
        if isinstance(entry, dict) and 'optimizer' in entry
    ]


def _listed(names: Iterable[str]) -> str:
    return ', '.join(map(repr, names)) or 'none'
