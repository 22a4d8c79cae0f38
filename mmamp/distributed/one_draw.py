"""Random numbers that all ranks draw alike."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def drawing_alike(number: int, device: torch.device) -> Iterator[None]:
    """Have torch draw what it draws on the other ranks; then go on as before.

    For what is computed on each rank and has to come out the same, such as an
    optimizer's noise.

    Args:
        number (int): The same on all ranks, and another the next time.
        device (torch.device): Whose generator is drawn from, beside the CPU's.
    """
    devices = [] if device.type == 'cpu' else [device]
    with torch.random.fork_rng(devices, device_type=_kind(device)):
        torch.manual_seed(number)
        yield


def _kind(device: torch.device) -> str:
    return 'cuda' if device.type == 'cpu' else device.type
