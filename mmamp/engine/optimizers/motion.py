"""Whether an optimizer moves anything at all."""

import logging
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mmamp.distributed.sharding import local

from .usage import Usage

STEPS = 10
"""Some leave out their first steps."""
MOST = 2**16
"""Elements that are looked at."""


class Motion:
    """Warns of an optimizer that has made steps and moved no weight.

    A step that needs what it is not given, or a learning rate that underflows,
    leaves a run that looks as if it trained. Some elements of its weights are
    kept at the first step, and compared some steps later, with one
    synchronisation.

    Args:
        usage (Usage): Says it.
    """

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._steps = 0
        # Parameters, what was seen of them, and whether gradients were not 0.
        self._kept: list[tuple[nn.Parameter, Tensor, Tensor]] = []

    def before(self, optimizer: Optimizer) -> None:
        """Keep what weights are, before the first step.

        Args:
            optimizer (Optimizer): Whose gradients are there.
        """
        if self._steps or self._kept:
            return
        params = [
            param
            for group in optimizer.param_groups
            if not _is_zero(group.get('lr'))
            for param in group['params']
            if param.grad is not None
        ]
        room = MOST
        for param in sorted(params, key=lambda x: local(x).numel()):
            if not room:
                break
            seen = _seen(param, room)
            grad: Any = param.grad
            counts = _part(local(grad), room).any()
            self._kept.append((param, seen.clone(), counts))
            room -= seen.numel()

    def after(self, optimizer: Optimizer) -> None:
        """Compare, once enough steps have been made.

        Args:
            optimizer (Optimizer): That has made one.
        """
        if self._steps == STEPS or not self._kept:
            return
        rates = [group.get('lr') for group in optimizer.param_groups]
        if all(map(_is_zero, rates)):
            return
        self._steps += 1
        if self._steps < STEPS:
            return
        kept, self._kept = self._kept, []
        moved, counted = [], []
        room = MOST
        for param, old, counts in kept:
            moved.append((_seen(param, room) != old).any() & counts)
            counted.append(counts)
            room -= old.numel()
        on_device = [x != 0 for x in rates if isinstance(x, Tensor)]
        flags = _on_host([*moved, *counted, *on_device])
        moves, counting = flags[: len(kept)], flags[len(kept) : 2 * len(kept)]
        trains = len(on_device) < len(rates) or any(flags[2 * len(kept) :])
        if any(counting) and trains and not any(moves):
            said = {f'{x:g}' for x in rates if isinstance(x, (int, float))}
            self._usage.say_once(
                f'{STEPS} steps of {type(optimizer).__name__} have moved '
                f'nothing in {sum(counting)} parameters with gradients other '
                'than 0: nothing is trained. Its lr is '
                f'{", ".join(sorted(said)) or "its own"}; does its step need '
                'a closure, or another argument?',
                'motion',
                logging.WARNING,
            )


def _is_zero(rate: Any) -> bool:
    """Tell it of a rate; one on a device is not asked."""
    if isinstance(rate, Tensor) and rate.device.type != 'cpu':
        return False
    return rate is not None and float(rate) == 0


def _seen(param: nn.Parameter, room: int) -> Tensor:
    return _part(local(param.detach()), room)


def _part(tensor: Tensor, room: int) -> Tensor:
    """Return a view of as much of a tensor as there is room for."""
    if tensor.numel() > room and tensor.dim():
        rows = room // max(tensor[0].numel(), 1)
        tensor = tensor[: max(rows, 1)]
    while tensor.numel() > room and tensor.dim():
        tensor = tensor[0]
    return tensor


def _on_host(flags: list[Tensor]) -> list[bool]:
    """Return booleans of a device, with one synchronisation."""
    device = flags[0].device
    values = torch.stack([x.reshape(()).to(device) for x in flags]).tolist()
    return [bool(x) for x in values]
