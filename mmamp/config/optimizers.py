"""What a config says of its optimizers, precision apart."""

from collections.abc import Iterable
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

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


def complete_schedulers(cfg: Config) -> None:
    """Give optimizers that ``param_scheduler`` does not name no schedule.

    Args:
        cfg (Config): The config; a dict of schedules by optimizers gets an
            empty list for each of the others.

    Raises:
        UsageError: If it names an optimizer that there is not.
    """
    schedulers: Any = cfg.get('param_scheduler')
    wrapper = cfg.get('optim_wrapper')
    if not isinstance(schedulers, dict) or 'type' in schedulers:
        return
    if not isinstance(wrapper, dict):
        return
    if 'optimizer' in wrapper:
        raise UsageError(
            f'param_scheduler has schedules of {_listed(schedulers)}, but '
            'there is one optimizer, without a name: give a list of schedules'
        )
    entries = _entries(wrapper)
    if not entries:
        return
    if wrong := [name for name in schedulers if name not in entries]:
        hints = ''.join(did_you_mean(name, entries) for name in wrong)
        raise UsageError(
            f'param_scheduler has a schedule of {_listed(wrong)}, but the '
            f'optimizers are {_listed(entries)}.{hints}'
        )
    if others := [name for name in entries if name not in schedulers]:
        for name in others:
            schedulers[name] = []
        print_log(
            f'param_scheduler: none for {_listed(others)}', logger='current'
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
