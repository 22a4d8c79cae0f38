"""Whether an optimizer moves anything at all."""

import logging

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
    leaves a run that looks as if it trained. The smallest weights are kept at
    the first step, and compared some steps later, with one synchronisation.

    Args:
        usage (Usage): Says it.
    """

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._steps = 0
        self._kept: list[tuple[Tensor, Tensor, Tensor]] = []

    def before(self, params: list[nn.Parameter]) -> None:
        """Keep what weights are, before the first step.

        Args:
            params (list[Parameter]): With gradients.
        """
        if self._steps or self._kept:
            return
        room = MOST
        for param in sorted(params, key=lambda x: local(x).numel()):
            weight = local(param.detach())
            room -= weight.numel()
            if room < 0:
                break
            if param.grad is not None:
                counts = local(param.grad).any()
                self._kept.append((weight, weight.clone(), counts))

    def after(self, optimizer: Optimizer) -> None:
        """Compare, once enough steps have been made.

        Args:
            optimizer (Optimizer): That has made one.
        """
        if self._steps == STEPS or not self._kept:
            return
        rates = [x.get('lr', 1.0) for x in optimizer.param_groups]
        # To ask one on a device would be to wait for it.
        if not any(isinstance(x, Tensor) or x for x in rates):
            return
        self._steps += 1
        if self._steps < STEPS:
            return
        kept, self._kept = self._kept, []
        moved = [(now != old).any() & counts for now, old, counts in kept]
        device = kept[0][0].device
        flags = torch.stack(
            [x.to(device) for x in (*moved, *(x for *_, x in kept))]
        ).cpu()
        if flags[len(kept) :].any() and not flags[: len(kept)].any():
            said = ', '.join(f'{x:g}' for x in sorted({*map(float, rates)}))
            self._usage.say_once(
                f'{STEPS} steps of {type(optimizer).__name__} have moved none '
                f'of {int(flags.sum())} weights with gradients other than 0: '
                f'nothing is trained. Its lr is {said}; does its step need a '
                'closure, or another argument?',
                'motion',
                logging.WARNING,
            )
