"""What an optimizer keeps in attributes of its own, beside its state."""

import copy
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import PurePath
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mmamp.checkpoint.generators import GENERATORS, put_state, state_of
from mmamp.checkpoint.objects import (
    LINKS,
    Encoder,
    decoded,
    kind_of_plain,
    linked,
    on_device,
)
from mmamp.compat.mmengine import ON_OPTIMIZERS as OF_MMENGINE
from mmamp.compat.torch import ON_OPTIMIZERS as OF_TORCH
from mmamp.compat.torch import storage_key, tree_map
from mmamp.distributed.sharding import is_sharded
from mmamp.utils.memory import is_plain
from mmamp.utils.modules import groups_of, params_of, with_inner

Attributes = dict[str, Any]
_HOSTS = {'torch', 'mmamp'}
_CONSTANTS = (range, slice, re.Pattern, PurePath)
_NOT_OWN = {'builtins', 'collections', 'abc', 'typing'}


def packages_of(optimizer: Optimizer) -> set[str]:
    """Return the packages whose classes an optimizer's state may hold.

    Args:
        optimizer (Optimizer): Those inside of it, and what they inherit from,
            count too.
    """
    return {
        cls.__module__.partition('.')[0]
        for each in with_inner(optimizer)
        for cls in type(each).__mro__
    } - _NOT_OWN


class OptimizerAttributes:
    """Saves and loads what steps have changed in an optimizer's attributes.

    What is as it was when the optimizer was built is a setting, which the
    config has; a tensor of the state or a parameter is that of the reader, and
    what is nothing but memory of them the optimizer makes again.

    Args:
        optimizer (Optimizer): With its parameters; that of optimizers inside
            of it is saved too.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._packages = packages_of(optimizer)
        # Rates, of which groups have numbers between steps.
        self._settings = [
            tensor
            for group in groups_of(optimizer)
            for key, value in group.items()
            if key != 'params'
            for tensor in _tensors(value)
        ]
        self._at_first = [
            (tree_map(_cloned, kept), lost)
            for kept, lost in map(self._encoded, with_inner(optimizer))
        ]

    def changed(self) -> tuple[dict[int, Attributes], list[str]]:
        """Return those that have changed since the optimizer was built.

        Returns:
            tuple[dict, list[str]]: Plain values, by the place of the optimizer
            among those inside of it; and in words what is none.
        """
        found: dict[int, Attributes] = {}
        unsaved: list[str] = []
        for i, each in enumerate(with_inner(self._optimizer)):
            first = self._at_first[i : i + 1] or [({}, {})]
            ((then, lost_then),) = first
            kept, lost = self._encoded(each)
            changed = {
                key: value
                for key, value in kept.items()
                if key not in then or not _equal(value, then[key])
            }
            for key in lost:
                if key in changed or lost[key] != lost_then.get(key):
                    changed.pop(key, None)
                    unsaved += lost[key]
            if changed:
                found[i] = changed
        return found, unsaved

    def load(self, found: dict[int, Attributes]) -> None:
        """Put them back, beside a state that is there already.

        Args:
            found (dict): From :meth:`changed`.
        """
        params = params_of(self._optimizer)
        groups = groups_of(self._optimizer)
        states = [each.state for each in with_inner(self._optimizer)]
        for i, each in enumerate(with_inner(self._optimizer)):
            own = vars(each)
            for key, plain in found.get(i, {}).items():
                kind = kind_of_plain(plain)
                if kind == 'generator' and type(own.get(key)) in GENERATORS:
                    # Another device's is not made here.
                    put_state(own[key], decoded(plain['state'], (), ()))
                    continue
                value = decoded(plain, self._packages, params)
                value = on_device(value, params[0].device)
                value = linked(value, groups, states)
                is_link = kind in LINKS
                own[key] = value if is_link else _put(own.get(key), value)

    def _encoded(
        self, optimizer: Optimizer
    ) -> tuple[Attributes, dict[str, list[str]]]:
        """Return attributes as plain values, and what each of them lacks."""
        own = list(_own(optimizer, self._packages))
        if not own:
            return {}, {}
        saves_itself = type(optimizer).state_dict is not Optimizer.state_dict
        saved = _memory(
            [
                *self._settings,
                *optimizer.param_groups,
                *optimizer.state.values(),
            ]
        )
        params = params_of(self._optimizer)
        encoder = Encoder(
            self._packages,
            params,
            groups_of(self._optimizer),
            [each.state for each in with_inner(self._optimizer)],
        )
        kept: Attributes = {}
        lost: dict[str, list[str]] = {}
        for key, value in own:
            is_simple = type(value) in (bool, int, float, *GENERATORS)
            if saves_itself and not is_simple:
                continue
            where = f'optimizer.{key}'
            encoder.lost = {}
            plain = encoder(value, where)
            tensors = list(_tensors(plain))
            if saved & _memory(tensors):
                if not _holds_more(value, saved):
                    continue
                encoder.lost[where] = 'memory of the state beside other things'
            if any(map(is_sharded, tensors)):
                encoder.lost[where] = 'sharded tensors'
            if encoder.lost:
                lost[key] = [f'{at} ({x})' for at, x in encoder.lost.items()]
            kept[key] = _glimpse(value) if plain is None else plain
        return kept, lost


def copies_of_attributes(
    optimizer: Optimizer, memo: dict[int, Any]
) -> Callable[[], None]:
    """Copy attributes, and return what puts them back.

    Args:
        optimizer (Optimizer): Whose attributes they are; not of those inside.
        memo (dict): Of ``copy.deepcopy``: what is not copied, or already is.
    """
    own = vars(optimizer)
    names = set(own)
    kept = {}
    for key, value in _own(optimizer, packages_of(optimizer)):
        with suppress(Exception):  # of whatever cannot be copied
            kept[key] = (value, _copied(value, memo))

    def put_back() -> None:
        for key in own.keys() - names:
            del own[key]
        for key, (value, copied) in kept.items():
            own[key] = _put(value, copied)

    return put_back


def _copied(value: Any, memo: dict[int, Any]) -> Any:
    if type(value) is torch.Generator:
        return value.clone_state()
    return copy.deepcopy(value, memo)


def _own(
    optimizer: Optimizer, packages: set[str]
) -> Iterator[tuple[str, Any]]:
    """Yield attributes that may be state: neither code nor the hosts'.

    A network is in the checkpoint by itself.
    """
    if _package(optimizer) in _HOSTS:
        return
    for key, value in vars(optimizer).items():
        is_code = isinstance(value, ModuleType) or (
            # Objects of its own may be called, and keep something.
            callable(value) and _package(value) not in packages - _HOSTS
        )
        is_place = isinstance(value, (Optimizer, nn.Module, torch.device)) or (
            value is optimizer.param_groups or value is optimizer.state
        )
        if not (is_code or is_place or key in OF_TORCH or key in OF_MMENGINE):
            yield key, value


def _package(value: Any) -> str:
    return str(type(value).__module__.partition('.')[0])


def _memory(value: Any) -> set[int]:
    """Return the memory of the tensors in nested lists and dicts."""
    return {storage_key(x) for x in _tensors(value) if is_plain(x)}


def _tensors(value: Any) -> Iterator[Tensor]:
    """Yield the tensors in nested lists and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _glimpse(value: Any) -> Any:
    """Return what tells whether an object has changed that is not plain.

    That of the hosts, such as a process group, is no state; another one that
    does not show what it keeps may always have.
    """
    if isinstance(value, _CONSTANTS):
        return str(value)
    if hasattr(value, '__dict__'):
        return Encoder(())(vars(value), '')
    return None if value is None or _package(value) in _HOSTS else object()


def _holds_more(value: Any, saved: set[int]) -> bool:
    """Tell whether there is more in a value than memory that is saved."""
    if isinstance(value, Tensor):
        return not (is_plain(value) and storage_key(value) in saved)
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple, set, deque)):
        return any(_holds_more(item, saved) for item in value)
    return value is not None


def _cloned(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value


def _equal(one: Any, other: Any) -> bool:
    """Tell whether two plain values are equal, tensors in them too."""
    if type(one) is not type(other):
        return False
    if isinstance(one, Tensor):
        # Others have no numbers that could be told.
        return is_plain(one) and is_plain(other) and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(
            _equal(one[key], other[key]) for key in one
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def _put(own: Any, value: Any) -> Any:
    """Return a value in the place of the one that is there."""
    if type(own) in GENERATORS and type(own) is type(value):
        put_state(own, state_of(value))
        return own
    if isinstance(own, torch.Generator) and isinstance(value, Tensor):
        put_state(own, value)
        return own
    if (
        isinstance(own, Tensor)
        and isinstance(value, Tensor)
        and (own.shape, own.dtype) == (value.shape, value.dtype)
    ):
        with torch.no_grad():
            return own.copy_(value)
    return value
