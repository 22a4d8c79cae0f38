"""Islands that nobody enters: modules used by their weights alone."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .placement import Placed


@dataclass(frozen=True)
class Bypass:
    """A module that is trained although its island has not run.

    Attributes:
        placed (Placed): The module, and its rule.
        by_weights (bool): Whether code outside of it uses its own weights;
            if not, only modules inside of it were called, and the rule's
            ``output_dtype`` and ``clamp`` were not applied.
    """

    placed: Placed
    by_weights: bool

    @property
    def pattern(self) -> str:
        """str: A regular expression of the modules to name instead."""
        name = self.placed.name
        if self.by_weights:
            return re.escape(name.rpartition('.')[0])
        return f'{re.escape(name)}\\..*' if name else '.+'


class BypassedIslands:
    """Watches which islands run, and which modules get gradients without.

    Args:
        placed (Sequence[Placed]): All islands of a model.
    """

    def __init__(self, placed: Sequence[Placed]) -> None:
        self._all = list(placed)
        self._left = list(placed)
        self._trained: set[int] = set()
        self._handles: list[Any] = []

    def watch(self) -> None:
        """Begin to watch."""
        params = {
            id(param): param
            for placed in self._left
            for param in placed.module.parameters()
            if param.requires_grad
        }
        for param in params.values():
            self._handles.append(
                param.register_post_accumulate_grad_hook(self._note)
            )

    def _note(self, param: Tensor) -> None:
        self._trained.add(id(param))

    def stop(self) -> None:
        """Watch no more."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._left.clear()

    @property
    def is_done(self) -> bool:
        """bool: Whether each was either run or found."""
        return not self._left

    def found(self) -> list[Bypass]:
        """Return those that were trained without having run, each once."""
        # One that has not run may yet do so, or be trained later.
        idle = [x for x in self._left if not x.island.has_run]
        self._left = []
        bypasses = []
        for placed in idle:
            by_weights = bool(_ids([placed.module], False) & self._trained)
            if not by_weights and not _ids([placed.module]) & self._trained:
                self._left.append(placed)
            elif by_weights and not self._is_covered(placed):
                bypasses.append(Bypass(placed, by_weights=True))
            elif not by_weights and _finishes(placed):
                bypasses.append(Bypass(placed, by_weights=False))
        return bypasses

    def unreached(self) -> list[Placed]:
        """Return what rules name and nothing has called yet, nor its inside.

        Averaged models, which only evaluation runs, are left out, and what has
        no parameters to train.
        """
        return [
            x
            for x in self._all
            if x.is_matched
            and not x.is_averaged
            and not self._is_reached(x)
            and any(p.requires_grad for p in x.module.parameters())
        ]

    def _is_reached(self, placed: Placed) -> bool:
        inside = (x for x in self._all if _is_inside(x.name, placed.name))
        return any(x.island.has_run for x in (placed, *inside)) or bool(
            _ids([placed.module]) & self._trained
        )

    def _is_covered(self, placed: Placed) -> bool:
        """Tell whether the island around it does what this one would."""
        if _finishes(placed):
            return False
        around = [x for x in self._all if _is_inside(placed.name, x.name)]
        nearest = max(around, key=lambda x: len(x.name), default=None)
        return (
            nearest is not None
            and nearest.island.has_run
            and nearest.island.dtype is placed.island.dtype
        )


def _finishes(placed: Placed) -> bool:
    """Tell whether an island does something to the output."""
    island = placed.island
    return island.clamp is not None or island.output_dtype is not None


def _is_inside(name: str, other: str) -> bool:
    return name != other and (not other or name.startswith(f'{other}.'))


def _ids(modules: Iterable[nn.Module], recurse: bool = True) -> set[int]:
    return {id(p) for m in modules for p in m.parameters(recurse)}
