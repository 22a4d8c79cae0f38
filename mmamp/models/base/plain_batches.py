"""Batches in a checkpoint: no object of a class is in one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import Tensor

_ELEMENT = 'mmamp.data_element'
_ARRAY = 'mmamp.array'
_PLAIN = (bool, int, float, str, bytes, np.generic)


def plain_batches(value: Any) -> Any:
    """Copy batches so that they can be saved, tensors on the CPU.

    Args:
        value (Any): Tensors, numpy's arrays, numbers, strings, MMEngine's
            data elements, and containers of them.

    Returns:
        Any: The same without data elements, arrays and subclasses of tensors.

    Raises:
        TypeError: If it holds anything else; the text is its class.
    """
    if isinstance(value, Tensor):
        return value.detach().as_subclass(Tensor).cpu()
    if isinstance(value, BaseDataElement):
        return {
            _ELEMENT: _name(type(value)),
            'metainfo': plain_batches(dict(value.metainfo_items())),
            'data': plain_batches(dict(value.items())),
        }
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biufc':
        return {_ARRAY: torch.from_numpy(value.copy())}
    if isinstance(value, Mapping):
        return {key: plain_batches(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [plain_batches(item) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    if value is None or isinstance(value, _PLAIN):
        return value
    raise TypeError(_name(type(value)))


def batches_from(value: Any, device: Any) -> Any:
    """Undo :func:`plain_batches`, but for subclasses of tensors.

    Args:
        value (Any): What that returned.
        device (torch.device or str): Where tensors are wanted.
    """
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        if _ARRAY in value:
            return value[_ARRAY].numpy()
        if _ELEMENT in value:
            # What describes a sample stays where it is loaded.
            element = _class_of(value[_ELEMENT])(
                metainfo=batches_from(value['metainfo'], 'cpu')
            )
            element.set_data(batches_from(value['data'], device))
            return element
        return {key: batches_from(x, device) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(batches_from(item, device) for item in value)
    return value


def share_of(batches: Sequence[Any], rank: int, world_size: int) -> Any:
    """Return a rank's share of the samples in other ranks' batches.

    Args:
        batches (Sequence): One of each rank, plain.
        rank (int): Which share.
        world_size (int): How many shares there are.
    """
    num = len(batches[0]['inputs'])

    def dealt(items: Callable[[Any], Any], parts: Sequence[Any]) -> list[Any]:
        rows = zip(*map(items, parts), strict=True)
        return [item for row in rows for item in row][rank::world_size]

    def share(parts: Sequence[Any]) -> Any:
        first = parts[0]
        if _is_stacked(first, num):
            return torch.stack(dealt(list, parts))
        if isinstance(first, dict):
            return {key: share([x[key] for x in parts]) for key in first}
        if isinstance(first, (list, tuple)):
            if len(first) == num and not all(
                _is_stacked(x, num) for x in first
            ):
                return type(first)(dealt(list, parts))
            return type(first)(share(x) for x in zip(*parts, strict=True))
        return first

    return share(batches)


def _is_stacked(value: Any, num: int) -> bool:
    """Tell whether it is a tensor of all samples of a batch."""
    return isinstance(value, Tensor) and value.ndim > 0 and len(value) == num


def _name(cls: type) -> str:
    return f'{cls.__module__}.{cls.__qualname__}'


def _class_of(name: str) -> type[BaseDataElement]:
    """Find a class of data elements; nothing is imported for it."""
    for cls in _classes(BaseDataElement):
        if _name(cls) == name:
            return cls
    raise ValueError(
        f'the checkpoint holds samples of class {name!r}, which is not '
        'imported: name its module in custom_imports'
    )


def _classes(cls: type[BaseDataElement]) -> Iterator[type[BaseDataElement]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _classes(child)
