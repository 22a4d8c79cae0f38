"""What leaves a model, whatever it computes in: float32."""

import copy
import inspect
from collections.abc import Callable, MutableMapping
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import nn

from .dtypes import is_low

OF_A_RUN = ('mmengine.', 'torch.nn.', 'torch.optim.', 'torch.utils.')
"""Where the classes are defined whose objects are no data, nor those of their
subclasses: networks, optimizers, data sets, runners and their hooks."""
DEPTH = 8
"""How many objects inside of one another are looked into."""


def in_float32(
    predictions: Any, stays_low: Callable[[type], None] | None = None
) -> Any:
    """Return predictions whose tensors have at least 32 bits.

    Metrics, visualizers and exporters turn them into numpy arrays, which
    bfloat16 cannot be, and compute with them.

    Args:
        predictions (Any): A tensor; what has a ``dtype`` and ``to`` like one,
            such as boxes; a ``BaseDataElement``, which is changed in place;
            or a nest of lists, tuples, dicts and objects of any class with
            attributes. Others are returned as they are.
        stays_low (Callable, optional): Is told the class of an object that
            cannot be copied, and so keeps what it has. Defaults to None.

    Returns:
        Any: The same; containers and objects are new ones if something in
        them is. What an object has of one that it is part of stays.
    """
    return _Conversion(stays_low or _ignore).of(predictions)


class _Conversion:
    """What was made of the objects of a nest so far."""

    def __init__(self, stays_low: Callable[[type], None]) -> None:
        self._stays_low = stays_low
        self._seen: dict[int, Any] = {}
        self._depth = 0

    def of(self, value: Any) -> Any:
        """Return a value with at least 32 bits."""
        if isinstance(value, nn.Module):
            return value
        if isinstance(getattr(value, 'dtype', None), torch.dtype) and hasattr(
            value, 'to'
        ):
            return value.to(torch.float32) if is_low(value.dtype) else value
        if isinstance(value, BaseDataElement):
            self._change(value)
        elif isinstance(value, MutableMapping):
            if changed := self._changed(value):
                value = copy.copy(value)
                value.update(changed)
        elif isinstance(value, (list, tuple)):
            if changed := self._changed(dict(enumerate(value))):
                parts = [changed.get(i, x) for i, x in enumerate(value)]
                return _like(value, parts)
        elif _has_attributes(value):
            return self._object(value)
        return value

    def _changed(self, values: MutableMapping[Any, Any]) -> dict[Any, Any]:
        """Return those that are not in float32 yet, made so."""
        pairs = ((key, value, self.of(value)) for key, value in values.items())
        return {key: new for key, value, new in pairs if new is not value}

    def _change(self, element: BaseDataElement) -> None:
        for kind, names in (
            ('data', element.keys()),
            ('metainfo', element.metainfo_keys()),
        ):
            for name in list(names):
                value = element.get(name)
                if (new := self.of(value)) is not value:
                    element.set_field(new, name, field_type=kind)

    def _object(self, value: Any) -> Any:
        if id(value) in self._seen or self._depth == DEPTH:
            return self._seen.get(id(value), value)
        self._seen[id(value)] = value
        self._depth += 1
        changed = self._changed(_attributes(value))
        self._depth -= 1
        if changed:
            self._seen[id(value)] = self._copied(value, changed)
        return self._seen[id(value)]

    def _copied(self, value: Any, changed: dict[str, Any]) -> Any:
        try:
            new = copy.copy(value)
        except Exception:  # whatever its class may raise
            new = value
        is_new = new is not value and type(new) is type(value)
        own = getattr(new, '__dict__', {})
        if not is_new or own is getattr(value, '__dict__', None):
            self._stays_low(type(value))
            return value
        for name, part in changed.items():
            if name in own:
                own[name] = part
            else:  # whatever the class does when one is set
                object.__setattr__(new, name, part)
        return new


def _has_attributes(value: Any) -> bool:
    cls = type(value)
    if isinstance(value, type) or inspect.isroutine(value):
        return False
    if inspect.ismodule(value) or any(
        f'{base.__module__}.'.startswith(OF_A_RUN) for base in cls.__mro__
    ):
        return False
    return hasattr(value, '__dict__') or bool(_slots(cls))


def _slots(cls: type) -> list[str]:
    return [
        name
        for base in cls.__mro__
        if '__slots__' in vars(base)
        for name, slot in vars(base).items()
        if inspect.ismemberdescriptor(slot)
    ]


def _attributes(value: Any) -> dict[str, Any]:
    """Return what is stored in an object, without asking any property."""
    slots = [x for x in _slots(type(value)) if hasattr(value, x)]
    return {
        **{name: getattr(value, name) for name in slots},
        **getattr(value, '__dict__', {}),
    }


def _like(sequence: Any, parts: list[Any]) -> Any:
    """Return the parts in a sequence of another's class."""
    if isinstance(sequence, list):
        new = copy.copy(sequence)
        new[:] = parts
        return new
    make = getattr(sequence, '_make', type(sequence))  # a named tuple's
    return make(parts)


def _ignore(cls: type) -> None:
    pass
