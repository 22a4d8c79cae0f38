"""Islands that nobody enters: modules used by their weights alone."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .islands import Island


@dataclass(frozen=True)
class Bypass:
    """A module that is trained although its island has not run.

    Attributes:
        name (str): Of the module.
        by_weights (bool): Whether code outside of it uses its own weights;
            if not, modules inside of it were called.
    """

    name: str
    by_weights: bool

    @property
    def pattern(self) -> str:
        """str: A regular expression of the modules to name instead."""
        if self.by_weights:
            return re.escape(self.name.rpartition('.')[0])
        return f'{re.escape(self.name)}\\..*' if self.name else '.+'


class BypassedIslands:
    """Watches which islands run, and which modules get gradients without.

    Args:
        modules (Mapping[str, nn.Module]): All modules of a model, by name.
        islands (Mapping[str, Island]): Those of some of them.
    """

    def __init__(
        self, modules: Mapping[str, nn.Module], islands: Mapping[str, Island]
    ) -> None:
        self._modules, self._islands = modules, islands
        self._left = list(islands)
        self._trained: set[int] = set()
        self._handles: list[Any] = []

    def watch(self) -> None:
        """Begin to watch."""
        params = {
            id(param): param
            for name in self._left
            for param in self._modules[name].parameters()
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
        idle = [x for x in self._left if not self._islands[x].has_run]
        trained = {x: self._trained_in(x) for x in idle}
        self._left = [name for name, ids in trained.items() if not ids]
        return [
            Bypass(name, bool(ids & _ids([self._modules[name]], False)))
            for name, ids in trained.items()
            if ids and not self._is_covered(name, ids)
        ]

    def _trained_in(self, name: str) -> set[int]:
        return _ids([self._modules[name]]) & self._trained

    def _is_covered(self, name: str, trained: set[int]) -> bool:
        """Tell whether other islands do what this one would."""
        island = self._islands[name]
        if island.clamp is not None or island.output_dtype is not None:
            return False
        around = [x for x in self._islands if _is_inside(name, x)]
        if around and self._is_alike(max(around, key=len), island):
            return True
        inside = [
            self._modules[x]
            for x in self._islands
            if _is_inside(x, name) and self._is_alike(x, island)
        ]
        return trained <= _ids(inside)

    def _is_alike(self, name: str, island: Island) -> bool:
        other = self._islands[name]
        return other.has_run and other.dtype is island.dtype


def _is_inside(name: str, other: str) -> bool:
    return name != other and (not other or name.startswith(f'{other}.'))


def _ids(modules: Iterable[nn.Module], recurse: bool = True) -> set[int]:
    return {id(p) for m in modules for p in m.parameters(recurse)}
