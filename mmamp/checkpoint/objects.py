"""Objects as plain values, which load with ``weights_only=True``, and back.

An optimizer may keep more than tensors in its state. What is put back is made
without running anything that a checkpoint names: a class is looked up among
the modules that are imported, in packages that the caller trusts, and gets its
attributes.
"""

import sys
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from enum import Enum
from functools import reduce
from operator import getitem
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmamp.compat.torch import storage_key
from mmamp.distributed.sharding import is_sharded, local
from mmamp.utils.memory import is_plain

from .generators import GENERATORS, generator_of, kind_of, state_of

KIND = 'mmamp.kind'
"""The key of a dict that stands for something else: of what kind."""
_BY_PARAM = 'mmamp.by_param'
"""The key of what a dict has under its parameters: by their numbers, whether
it was under the ``id``, and the value."""
_GROUP, _PLACE, _NUMBERS = 'group', 'place', 'numbers of'
LINKS = (_PLACE, _NUMBERS)
"""Kinds of what stands for a tensor that is elsewhere."""
_PLAIN = (
    *(bool, int, float, complex, str, bytes, type(None)),
    *(torch.dtype, torch.device, torch.Size),
)


_FACTORIES: dict[str, Any] = {
    factory.__name__: factory for factory in (dict, list, set, int, float)
}
"""What makes the values of a ``defaultdict``, by name."""
_OF_PICKLE = (
    *('__new__', '__reduce__', '__reduce_ex__'),
    *('__getstate__', '__setstate__'),
)
"""Methods of a class that is more than its attributes."""


class Encoder:
    """Makes values plain.

    Args:
        packages (Iterable[str]): Whose classes :func:`decoded` will find.
        params (Sequence[Tensor]): What stands for those of the reader, as a
            value, which may be another tensor of the same memory, or, by
            itself or its ``id``, as a key. Defaults to none.
        groups (Sequence[dict]): An optimizer's, which :func:`linked` finds
            again. Defaults to none.
        states (Sequence[dict]): Whose tensors are saved with these, and which
            :func:`linked` finds again. Defaults to none.

    Attributes:
        lost (dict[str, str]): What could not be made plain and is left out:
            where it was, and its class.
    """

    def __init__(
        self,
        packages: Iterable[str],
        params: Sequence[Tensor] = (),
        groups: Sequence[dict[str, Any]] = (),
        states: Sequence[Any] = (),
    ) -> None:
        self.lost: dict[str, str] = {}
        self._packages = set(packages)
        self._numbers = {id(param): i for i, param in enumerate(params)}
        self._groups = {id(group): i for i, group in enumerate(groups)}
        self._in_memory: dict[Any, int] = {
            key: i
            for i, param in enumerate(params)
            if (key := _in_memory(param)) is not None
        }
        self._places: dict[Any, tuple[Any, ...]] = {
            key: path
            for i, state in enumerate(states)
            for path, tensor in self._within(state, (i,))
            if (key := _in_memory(tensor)) is not None
        }
        self._around: set[int] = set()

    def __call__(self, value: Any, where: str) -> Any:
        """Return a value as a plain one.

        Args:
            value (Any): Anything.
            where (str): It is, for ``lost``.
        """
        found = self._encoded(value, where)
        return None if found is _LOST else found

    def _encoded(self, value: Any, where: str) -> Any:
        if type(value) in _PLAIN:
            return value
        if id(value) in self._numbers:
            return {KIND: 'param', 'number': self._numbers[id(value)]}
        if id(value) in self._groups:
            return {KIND: _GROUP, 'number': self._groups[id(value)]}
        if isinstance(value, Tensor):
            return self._tensor(value, where)
        if isinstance(value, Enum):
            return self._of_class(value, where, name=value.name)
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, np.ndarray) and value.dtype.kind in 'biufc':
            return {KIND: 'array', 'values': torch.tensor(value)}
        if type(value) in GENERATORS:
            return {
                KIND: 'generator',
                'of': kind_of(value),
                'state': self._encoded(state_of(value), where),
                'device': str(getattr(value, 'device', '')),
            }
        if id(value) in self._around:
            return self._lose(value, where)
        self._around.add(id(value))
        try:
            return self._holder(value, where)
        finally:
            self._around.remove(id(value))

    def _holder(self, value: Any, where: str) -> Any:
        """Return what may hold other values as a plain one."""
        if type(value) in (dict, OrderedDict):
            return self._items(value, where)
        if type(value) in (list, tuple):
            return type(value)(self._each(value, where))
        if type(value) in (set, frozenset):
            name = type(value).__name__
            return {KIND: name, 'items': self._each(value, where)}
        if type(value) is deque:
            items = self._each(value, where)
            return {KIND: 'deque', 'items': items, 'maxlen': value.maxlen}
        if type(value) is defaultdict:
            factory = getattr(value.default_factory, '__name__', '')
            if value.default_factory is not _FACTORIES.get(factory):
                return self._lose(value, where)
            items = self._items(value, where, {})
            return {KIND: 'defaultdict', 'factory': factory, 'items': items}
        return self._object(value, where)

    def _within(
        self, value: Any, path: tuple[Any, ...]
    ) -> Iterator[tuple[tuple[Any, ...], Tensor]]:
        """Yield the tensors in nested lists and dicts, and where they are."""
        if isinstance(value, Tensor):
            yield path, value
        items: Iterable[tuple[Any, Any]] = ()
        if isinstance(value, Mapping):
            items = value.items()
        elif isinstance(value, (list, tuple)):
            items = enumerate(value)
        for key, item in items:
            number = self._numbers.get(id(key))
            if number is not None:
                key = {KIND: 'param', 'number': number}
            elif type(key) not in _PLAIN:
                continue  # which would not be plain in a checkpoint
            yield from self._within(item, (*path, key))

    def _tensor(self, value: Tensor, where: str) -> Any:
        key = _in_memory(value)
        if (number := self._in_memory.get(key)) is not None:
            return {KIND: _NUMBERS, 'number': number}
        if (path := self._places.get(key)) is not None:
            return {KIND: _PLACE, 'path': path}
        if type(value) is Tensor or is_sharded(value):
            return value
        if isinstance(value, torch.nn.Parameter):
            return value.detach()
        flatten = getattr(value, '__tensor_flatten__', None)
        if flatten is None:
            return self._lose(value, where)
        names, context = flatten()
        return self._of_class(
            value,
            where,
            kind='tensor',
            inner={
                name: self._encoded(getattr(value, name), f'{where}.{name}')
                for name in names
            },
            context=self._encoded(context, where),
            size=tuple(value.size()),
            stride=tuple(value.stride()),
        )

    def _object(self, value: Any, where: str) -> Any:
        cls = type(value)
        is_simple = (
            self._finds(cls)
            and hasattr(value, '__dict__')
            and not hasattr(cls, '__slots__')
            and all(
                getattr(cls, name, None) is getattr(object, name, None)
                for name in _OF_PICKLE
            )
        )
        if not is_simple:
            return self._lose(value, where)
        values = self._items(vars(value), where)
        return self._of_class(value, where, kind='object', values=values)

    def _of_class(
        self, value: Any, where: str, kind: str = 'enum', **parts: Any
    ) -> Any:
        cls = type(value)
        lacks = any(part is _LOST for part in parts.values())
        if lacks or not self._finds(cls):
            return self._lose(value, where)
        return {KIND: kind, 'class': _name(cls), **parts}

    def _finds(self, cls: type) -> bool:
        return _find(_name(cls), self._packages) is cls

    def _items(
        self, value: Any, where: str, found: dict[Any, Any] | None = None
    ) -> Any:
        found = type(value)() if found is None else found
        for key, item in value.items():
            number = self._number(key)
            if number is not None:
                items = found.setdefault(_BY_PARAM, {})
                encoded = self._encoded(item, f'{where}[parameter {number}]')
                if encoded is not _LOST:
                    items[number] = type(key) is int, encoded
                continue
            if type(key) not in (bool, int, float, str, tuple):
                self._lose(key, f'{where}[{key!r}]')
                continue
            encoded = self._encoded(item, f'{where}[{key!r}]')
            if encoded is not _LOST:
                found[key] = encoded
        return found

    def _number(self, key: Any) -> int | None:
        """Return which parameter a key stands for, if it does."""
        return self._numbers.get(key if type(key) is int else id(key))

    def _each(self, values: Iterable[Any], where: str) -> list[Any]:
        found = [
            self._encoded(x, f'{where}[{i}]') for i, x in enumerate(values)
        ]
        return [None if x is _LOST else x for x in found]

    def _lose(self, value: Any, where: str) -> Any:
        cls = type(value)
        self.lost[where] = f'{cls.__module__}.{cls.__qualname__}'
        return _LOST


_LOST = object()


def _in_memory(tensor: Tensor) -> tuple[Any, ...] | None:
    """Return what tensors have in common that are the same numbers."""
    if is_sharded(tensor):
        own = _in_memory(local(tensor))
        return own and (tensor.shape, *own)
    if not is_plain(tensor) or not tensor.numel():
        return None
    return (
        *(storage_key(tensor), tensor.data_ptr(), tensor.dtype),
        *(tuple(tensor.shape), tensor.stride()),
    )


def _name(cls: type) -> str:
    return f'{cls.__module__}:{cls.__qualname__}'


def decoded(
    value: Any, packages: Iterable[str], params: Sequence[Tensor] = ()
) -> Any:
    """Undo what an :class:`Encoder` has done.

    Args:
        value (Any): Plain.
        packages (Iterable[str]): Whose classes may be made.
        params (Sequence[Tensor]): In the place of those of the writer.
            Defaults to none.

    Raises:
        ValueError: If it names a class that is not found in them.
    """
    trusted = set(packages)

    def again(value: Any) -> Any:
        return decoded(value, trusted, params)

    if type(value) in (list, tuple):
        return type(value)(map(again, value))
    if not isinstance(value, dict):
        return value
    if (kind := value.get(KIND)) == 'param':
        return params[value['number']]
    if kind == _NUMBERS:
        return params[value['number']].detach()
    if kind == _GROUP:
        return value
    if kind == _PLACE:
        return {**value, 'path': again(value['path'])}
    if kind is not None:
        return _MAKERS[kind](value, again, trusted)
    found = type(value)()
    for key, item in value.items():
        if key != _BY_PARAM:
            found[key] = again(item)
            continue
        for number, (is_id, kept) in item.items():
            param = params[number]
            found[id(param) if is_id else param] = again(kept)
    return found


def linked(
    value: Any,
    groups: Sequence[dict[str, Any]],
    states: Sequence[Any] = (),
) -> Any:
    """Return a decoded value with an optimizer's own groups and states in it.

    Loading a state makes new ones, so that this comes after it.

    Args:
        value (Any): Decoded; what it is made of is changed in place.
        groups (Sequence[dict]): In the place of those of the writer.
        states (Sequence[dict]): In the place of those of the writer. Defaults
            to none.
    """
    own = {id(group) for group in groups}

    def link(value: Any) -> Any:
        if id(value) in own or isinstance(value, Tensor):
            return value
        kind = kind_of_plain(value)
        if kind == _GROUP:
            return groups[value['number']]
        if kind == _PLACE:
            return reduce(getitem, value['path'], states)
        if type(value) is tuple:
            return tuple(map(link, value))
        items: Any = {}
        holder: Any = None
        if isinstance(value, list | deque):
            items, holder = enumerate(value), value
        elif isinstance(value, dict):
            items, holder = value.items(), value
        elif hasattr(value, '__dict__') and not callable(value):
            items, holder = vars(value).items(), vars(value)
        if items and id(value) not in seen:
            seen.add(id(value))
            for key, item in items:
                holder[key] = link(item)
        return value

    seen: set[int] = set()
    return link(value)


def _enum(value: Any, again: Any, trusted: set[str]) -> Any:
    return _found(value, trusted)[value['name']]


def _tensor(value: Any, again: Any, trusted: set[str]) -> Any:
    return _found(value, trusted).__tensor_unflatten__(
        again(value['inner']),
        again(value['context']),
        value['size'],
        value['stride'],
    )


def _object(value: Any, again: Any, trusted: set[str]) -> Any:
    made = object.__new__(_found(value, trusted))
    vars(made).update(again(value['values']))
    return made


def _generator(value: Any, again: Any, trusted: set[str]) -> Any:
    return generator_of(value['of'], again(value['state']), value['device'])


_MAKERS: dict[str, Callable[[Any, Any, set[str]], Any]] = {
    'array': lambda value, again, trusted: value['values'].numpy(),
    'deque': lambda value, again, trusted: deque(
        again(value['items']), value['maxlen']
    ),
    'defaultdict': lambda value, again, trusted: defaultdict(
        _FACTORIES[value['factory']], again(value['items'])
    ),
    'set': lambda value, again, trusted: set(again(value['items'])),
    'frozenset': lambda value, again, trusted: frozenset(
        again(value['items'])
    ),
    'enum': _enum,
    'tensor': _tensor,
    'object': _object,
    'generator': _generator,
}


def _found(value: Any, trusted: set[str]) -> Any:
    found = _find(value['class'], trusted)
    if found is None:
        raise ValueError(
            f'the state holds a {value["class"].replace(":", ".")}, which is '
            f'not found in {", ".join(sorted(trusted))}: what saved it was '
            'another version, or another optimizer'
        )
    return found


def _find(name: str, packages: set[str]) -> Any:
    """Return a class of modules that are imported; None if there is none."""
    module, _, path = name.partition(':')
    if module.partition('.')[0] not in packages:
        return None
    found: Any = sys.modules.get(module)
    for part in path.split('.'):
        found = getattr(found, part, None)
    return found if isinstance(found, type) else None


def on_device(value: Any, device: torch.device) -> Any:
    """Move the tensors in a value, whatever containers they are in.

    Args:
        value (Any): As :func:`decoded` returns it; objects are changed.
        device (torch.device): Where to.
    """
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        moved = copy(value)
        for key, item in value.items():
            moved[key] = on_device(item, device)
        return moved
    if isinstance(value, deque):
        return deque((on_device(x, device) for x in value), value.maxlen)
    if type(value) in (list, tuple):
        return type(value)(on_device(x, device) for x in value)
    if hasattr(value, '__dict__') and not isinstance(value, (type, Enum)):
        for key, item in vars(value).items():
            vars(value)[key] = on_device(item, device)
    return value


def kind_of_plain(plain: Any) -> str | None:
    """Tell what a plain value stands for; None if for itself.

    Args:
        plain (Any): Of :class:`Encoder`.
    """
    return plain.get(KIND) if isinstance(plain, dict) else None
