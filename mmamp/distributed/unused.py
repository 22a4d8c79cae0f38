"""Parameters of sharded networks that a rank's batch does not reach."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from mmengine.dist import all_reduce
from mmengine.logging import print_log
from torch import nn
from torch.optim import Optimizer

from mmamp.compat.torch import ParamsOfUnit, before_reduction, units_of
from mmamp.errors import UsageError
from mmamp.utils.listing import listed
from mmamp.utils.modules import params_of

from .sharding import sharded_modules

_depth = 0
"""How many backward passes that make gradients are being made; autograd may
run them in threads of its own."""


@contextmanager
def makes_gradients() -> Iterator[None]:
    """Tell that a backward pass leaves gradients in parameters.

    One of ``torch.autograd.grad``, such as a penalty's, does not.
    """
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1


@dataclass
class _Unit:
    """What FSDP2 gathers and reduces at once, in one window.

    Attributes:
        name (str): Of its module.
        params (ParamsOfUnit): Of torch's.
        names (list[str]): Of its parameters.
        used (list[bool]): Which of them got a gradient on this rank.
        is_reached (bool): Whether a backward pass of this rank came to it.
    """

    name: str
    params: ParamsOfUnit
    names: list[str]
    used: list[bool] = field(default_factory=list)
    is_reached: bool = False

    def begin(self) -> None:
        """Begin a window."""
        self.used = [False] * len(self.names)
        self.is_reached = False


class UnusedParameters:
    """Has all ranks reduce the gradients of the same parameters.

    FSDP2 reduces, of each unit, the gradients that there are. Where a rank
    has none for one of them (experts, routed layers, layer drop), it would add
    those of different parameters: here it has zeros, as in DDP.

    Args:
        network (nn.Module): Sharded.
        name (str): Its name in the model.
        find (bool): Whether parameters that no rank has reached in a window
            are left alone, as in one process, and units may be left out by
            all ranks alike; takes one small reduction a window, and waits for
            it.
    """

    def __init__(self, network: nn.Module, name: str, find: bool) -> None:
        self._find = find
        self._has_told = False
        prefix = f'{name}.' if name else ''
        names = {id(p): prefix + n for n, p in network.named_parameters()}
        of_modules = {m: prefix + n for n, m in network.named_modules()}
        found = {
            # Several modules may be one unit.
            params.group: (module, params)
            for module in reversed(sharded_modules(network))
            for params in units_of(module)
        }
        self._units = [
            _Unit(
                of_modules[module].removesuffix('.') or 'the model',
                params,
                [names[id(p)] for p in params.sharded],
            )
            for module, params in found.values()
        ]
        for unit in self._units:
            unit.begin()
            before_reduction(unit.params, partial(self._fill, unit))

    def follow(self, optimizer: Optimizer) -> None:
        """Judge each window before an optimizer's step.

        Args:
            optimizer (Optimizer): One that has parameters of the network;
                others are left alone.
        """
        held = {id(param) for param in params_of(optimizer)}
        if any(
            id(param) in held
            for unit in self._units
            for param in unit.params.sharded
        ):
            optimizer.register_step_pre_hook(lambda *_: self._end_window())

    def _fill(self, unit: _Unit) -> None:
        """Give what this rank has no gradient for one of zeros."""
        params = unit.params
        if not params.is_gathered_for_backward:
            return
        has = params.have_gradients()
        if not (_depth or any(has)):
            return
        unit.is_reached = True
        unit.used = [x or y for x, y in zip(unit.used, has, strict=True)]
        missing = [
            i
            for i, param in enumerate(params.gathered)
            if param.requires_grad and not has[i]
        ]
        for i in missing:
            params.gathered[i].grad = torch.zeros_like(params.gathered[i])
        if missing and not (self._find or self._has_told):
            self._has_told = True
            print_log(
                'FSDP2Strategy: this rank has no gradient for '
                f'{listed([unit.names[i] for i in missing], 5)}: it counts '
                'as zero, for momentum and weight decay too, where no rank '
                'has one. With find_unused_parameters=True such parameters '
                'stay as they are',
                logger='current',
                level=logging.WARNING,
            )

    def _end_window(self) -> None:
        trained = [
            unit
            for unit in self._units
            if any(param.requires_grad for param in unit.params.sharded)
        ]
        if self._find:
            self._compare(trained)
        else:
            for unit in trained:
                if not unit.is_reached:
                    raise UsageError(
                        f'FSDP2Strategy: the unit {unit.name!r} got no '
                        'gradient on this rank. Where another rank has '
                        'reached it, they have exchanged wrong weights: take '
                        'it out of `units`, or give '
                        'find_unused_parameters=True if all ranks leave it '
                        'out alike'
                    )
        for unit in self._units:
            unit.begin()

    def _compare(self, units: list[_Unit]) -> None:
        """Ask all ranks what they have reached."""
        if not units:
            return
        device = units[0].params.sharded[0].device
        marks = [x for u in units for x in (u.is_reached, *u.used)]
        most = torch.tensor(marks, dtype=torch.int32, device=device)
        both = torch.stack([most, -most])
        all_reduce(both, 'max')
        of_any, of_all = both[0].tolist(), (-both[1]).tolist()
        place = 0
        for unit in units:
            if of_any[place] != of_all[place]:
                raise UsageError(
                    f'FSDP2Strategy: only some ranks have reached the unit '
                    f'{unit.name!r}, so that they have exchanged wrong '
                    'weights: take it out of `units`'
                )
            place += 1
            for param in unit.params.sharded:
                if not of_any[place]:
                    param.grad = None
                place += 1
