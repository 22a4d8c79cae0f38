"""Parameters of sharded networks that a rank's batch does not reach."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from mmengine.dist import all_reduce, get_rank
from mmengine.logging import print_log
from torch import nn

from mmamp.compat.torch import ParamsOfUnit, before_reduction, units_of
from mmamp.errors import UsageError
from mmamp.utils.listing import listed

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
class _Seen:
    """What a window of this rank has seen of a parameter.

    Attributes:
        came (bool): Whether a backward pass has come to its unit.
        used (bool): Whether one has made a gradient of it.
    """

    came: bool = False
    used: bool = False


@dataclass
class _Unit:
    """What FSDP2 gathers and reduces at once.

    Attributes:
        name (str): Of its module.
        params (ParamsOfUnit): Of torch's.
        names (list[str]): Of its parameters.
        seen (list[_Seen]): Of each of them.
    """

    name: str
    params: ParamsOfUnit
    names: list[str]
    seen: list[_Seen]


class UnusedParameters:
    """Has all ranks reduce the gradients of the same parameters.

    FSDP2 reduces, of each unit, the gradients that there are. Where a rank
    has none for one of them (experts, routed layers, layer drop), it would add
    those of different parameters: here it has zeros, as in DDP.

    Args:
        networks (Mapping[str, nn.Module]): Sharded, by name.
        find (bool): Whether parameters that no rank has reached in a window
            are left alone, as in one process, and units may be left out by
            all ranks alike; takes one small reduction a window, and waits for
            it.
    """

    def __init__(self, networks: dict[str, nn.Module], find: bool) -> None:
        self._find = find
        self._has_told = False
        self._units: list[_Unit] = []
        for prefix, network in networks.items():
            self._units += _units_of(prefix, network)
        for unit in self._units:
            before_reduction(unit.params, partial(self._fill, unit))

    def _fill(self, unit: _Unit) -> None:
        """Give what this rank has no gradient for one of zeros."""
        params = unit.params
        if not params.is_gathered_for_backward:
            return
        has = params.have_gradients()
        if not (_depth or any(has)):
            return
        missing = []
        for i, (whole, part, seen) in enumerate(
            zip(params.gathered, params.sharded, unit.seen, strict=True)
        ):
            if not whole.requires_grad:
                continue
            # The checkpoint that a window goes on from has its gradients.
            seen.used |= has[i] or (not seen.came and part.grad is not None)
            seen.came = True
            if not has[i]:
                whole.grad = torch.zeros_like(whole)
                missing.append(unit.names[i])
        if missing and not (self._find or self._has_told):
            self._has_told = True
            print_log(
                f'FSDP2Strategy: the batch of rank {get_rank()} gives no '
                f'gradient to {listed(missing, 5)}: zero stands for it in the '
                'mean over the ranks. Where no other rank has one either, '
                'momentum and weight decay move these parameters all the '
                'same; with find_unused_parameters=True they stay as they are',
                logger='current',
                level=logging.WARNING,
            )

    def end_window(self, params: Iterable[nn.Parameter]) -> None:
        """Judge a window, before an optimizer steps.

        Args:
            params (Iterable[Parameter]): The optimizer's.

        Raises:
            UsageError: If a unit of theirs was not reached, or not by all
                ranks alike.
        """
        held = {id(param) for param in params}
        mine = [
            (unit, i)
            for unit in self._units
            for i, param in enumerate(unit.params.sharded)
            if id(param) in held and param.requires_grad
        ]
        if self._find:
            self._compare(mine)
        reached = {
            unit.name
            for unit, i in mine
            if unit.seen[i].came or unit.params.sharded[i].grad is not None
        }
        for unit, _ in mine:
            if unit.name not in reached and not self._find:
                raise UsageError(
                    f'FSDP2Strategy: the unit {unit.name!r} got no '
                    'gradient on this rank. Where another rank has '
                    'reached it, they have exchanged wrong weights: take '
                    'it out of `units`, or give '
                    'find_unused_parameters=True if all ranks leave it '
                    'out alike'
                )
        for unit, i in mine:
            unit.seen[i] = _Seen()

    def _compare(self, mine: list[tuple[_Unit, int]]) -> None:
        """Ask all ranks what they have reached."""
        if not mine:
            return
        seen = [unit.seen[i] for unit, i in mine]
        marks = torch.tensor(
            [[x.came for x in seen], [x.used for x in seen]],
            dtype=torch.int32,
            device=mine[0][0].params.sharded[0].device,
        )
        both = torch.stack([marks, -marks])
        all_reduce(both, 'max')
        came_any, used_any = both[0].tolist()
        came_all = (-both[1][0]).tolist()
        for (unit, i), any_, all_, used in zip(
            mine, came_any, came_all, used_any, strict=True
        ):
            if any_ != all_:
                raise UsageError(
                    f'FSDP2Strategy: only some ranks have reached the unit '
                    f'{unit.name!r}, so that they have exchanged wrong '
                    'weights: take it out of `units`'
                )
            if any_ and not used:
                unit.params.sharded[i].grad = None


def _units_of(prefix: str, network: nn.Module) -> list[_Unit]:
    """Return what a network is gathered in."""
    start = f'{prefix}.' if prefix else ''
    names = {id(p): start + n for n, p in network.named_parameters()}
    of_modules = {m: start + n for n, m in network.named_modules()}
    found = {
        # Several modules may be one unit.
        params.group: (module, params)
        for module in reversed(sharded_modules(network))
        for params in units_of(module)
    }
    return [
        _Unit(
            of_modules[module].removesuffix('.') or 'the model',
            params,
            [names[id(p)] for p in params.sharded],
            [_Seen() for _ in params.sharded],
        )
        for module, params in found.values()
    ]
