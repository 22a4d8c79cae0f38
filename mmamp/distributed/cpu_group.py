"""A group of all ranks that talks without the device."""

import logging
from typing import Any

from mmengine.dist import all_gather_object, get_world_size
from mmengine.logging import print_log
from torch import distributed


def new_cpu_group(user: str) -> Any:
    """Make a process group over gloo, by all ranks or by none.

    Args:
        user (str): Who needs it, for the log.

    Returns:
        ProcessGroup or None: None of a single process, and where gloo cannot
        connect the ranks: then the log names the variable that mends it.
    """
    if get_world_size() == 1:
        return None
    group, error = None, ''
    try:
        group = distributed.new_group(backend='gloo')
    except RuntimeError as failed:
        error = ' '.join(str(failed).split()) or type(failed).__name__
    errors = list(filter(None, all_gather_object(error)))
    if not errors:
        return group
    print_log(
        f'{user}: gloo cannot connect the ranks ({errors[0]}); '
        f'{distributed.get_backend()} does what it should. '
        'GLOO_SOCKET_IFNAME=NAME in the environment of each rank says which '
        'network interface leads to the others (`ip addr` lists them)',
        logger='current',
        level=logging.WARNING,
    )
    return None
