"""A group of all ranks that talks without the device."""

import logging
from datetime import timedelta
from typing import Any

from mmengine.config import Config
from mmengine.dist import all_gather_object, get_backend, get_world_size
from mmengine.logging import print_log
from torch import distributed

from .ranks import timeout_of

CONNECTING = timedelta(seconds=30)
"""How long ranks wait for each other where one may have failed to come."""


def cpu_group(user: str, cfg: Config) -> Any:
    """Return a process group over gloo: the run's own, or a new one.

    Args:
        user (str): Who needs it, for the log.
        cfg (Config): Of the run: how long ranks wait for each other.

    Returns:
        ProcessGroup or None: As of :func:`new_cpu_group`.
    """
    if get_world_size() > 1 and get_backend() == 'gloo':
        return distributed.group.WORLD
    return new_cpu_group(user, timeout_of(cfg))


def new_cpu_group(user: str, timeout: timedelta | None = None) -> Any:
    """Make a process group over gloo, by all ranks or by none.

    Args:
        user (str): Who needs it, for the log.
        timeout (timedelta, optional): How long ranks wait for each other.
            Defaults to None: as long as torch has them wait.

    Returns:
        ProcessGroup or None: None of a single process, and where gloo cannot
        connect the ranks: then the log names the variable that mends it.
    """
    if get_world_size() == 1:
        return None
    errors = _try_out()
    if not errors:
        return distributed.new_group(backend='gloo', timeout=timeout)
    print_log(
        f'{user}: gloo cannot connect the ranks ({errors[0]}); '
        f'{distributed.get_backend()} does what it should. '
        'GLOO_SOCKET_IFNAME=NAME in the environment of each rank says which '
        'network interface leads to the others (`ip addr` lists them)',
        logger='current',
        level=logging.WARNING,
    )
    return None


def _try_out() -> list[str]:
    """Connect all ranks, and return what went wrong, on all of them.

    In a group that is let go of: how long a group's ranks wait to be
    connected is how long they wait for each other ever after.
    """
    error = ''
    try:
        group = distributed.new_group(backend='gloo', timeout=CONNECTING)
        distributed.destroy_process_group(group)
    except RuntimeError as failed:
        error = ' '.join(str(failed).split())
    return [text for text in all_gather_object(error) if text]
