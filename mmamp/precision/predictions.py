"""What leaves a model, whatever it computes in: float32."""

import copy
from collections.abc import MutableMapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from mmengine.structures import BaseDataElement

from .dtypes import is_low


def in_float32(predictions: Any) -> Any:
    """Return predictions whose tensors have at least 32 bits.

    Metrics, visualizers and exporters turn them into numpy arrays, which
    bfloat16 cannot be, and compute with them.

    Args:
        predictions (Any): A tensor; what has a ``dtype`` and ``to`` like one,
            such as boxes; a ``BaseDataElement``, which is changed in place;
            or a nest of lists, tuples, dicts and dataclasses of them. Others
            are returned as they are.

    Returns:
        Any: The same; containers are new ones if something in them is.
    """
    if isinstance(getattr(predictions, 'dtype', None), torch.dtype):
        if is_low(predictions.dtype):
            return predictions.to(torch.float32)
    elif isinstance(predictions, BaseDataElement):
        for kind, names in (
            ('data', predictions.keys()),
            ('metainfo', predictions.metainfo_keys()),
        ):
            for name in list(names):
                value = predictions.get(name)
                if (new := in_float32(value)) is not value:
                    predictions.set_field(new, name, field_type=kind)
    elif isinstance(predictions, MutableMapping):
        changed = _changed(predictions)
        if changed:
            predictions = copy.copy(predictions)
            predictions.update(changed)
    elif isinstance(predictions, (list, tuple)):
        changed = _changed(dict(enumerate(predictions)))
        if changed:
            parts = [changed.get(i, x) for i, x in enumerate(predictions)]
            return _like(predictions, parts)
    elif is_dataclass(predictions) and not isinstance(predictions, type):
        changed = _changed(
            {
                field.name: getattr(predictions, field.name)
                for field in fields(predictions)
                if field.init
            }
        )
        if changed:
            return replace(predictions, **changed)
    return predictions


def _changed(values: MutableMapping[Any, Any]) -> dict[Any, Any]:
    """Return those that are not in float32 yet, made so."""
    pairs = ((key, value, in_float32(value)) for key, value in values.items())
    return {key: new for key, value, new in pairs if new is not value}


def _like(sequence: Any, parts: list[Any]) -> Any:
    """Return the parts in a sequence of another's class."""
    if isinstance(sequence, list):
        new = copy.copy(sequence)
        new[:] = parts
        return new
    make = getattr(sequence, '_make', type(sequence))  # a named tuple's
    return make(parts)
