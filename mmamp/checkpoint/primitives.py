"""Values that need no allow-list to be loaded."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mmamp.compat.torch import set_versions, versions_of

_HISTORY = 'mmamp.history'


def to_primitives(value: Any) -> Any:
    """Copy a value so that it needs no allow-list to be loaded.

    Args:
        value (Any): Numbers, strings, tensors, numpy's, and containers of
            them.

    Returns:
        Any: numpy's scalars and arrays as numbers and lists, containers as
        dict, list and tuple.

    Raises:
        TypeError: If it holds anything else.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    for base in (int, float, str):
        if isinstance(value, base):  # a subclass would be pickled by name
            return base(value)
    if isinstance(value, np.ndarray):
        return to_primitives(value.tolist())
    if type(value) is torch.Tensor:
        return value
    if isinstance(value, Mapping):
        return {to_primitives(k): to_primitives(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set)):
        items = [to_primitives(v) for v in value]
        return tuple(items) if isinstance(value, tuple) else items
    raise TypeError(f'{type(value).__module__}.{type(value).__qualname__}')


def history_to_primitives(buffer: HistoryBuffer) -> dict[str, Any]:
    """Return a ``HistoryBuffer`` as lists of numbers."""
    log, count = buffer.data
    return {
        _HISTORY: log.tolist(),
        'count': count.tolist(),
        'max_length': int(buffer.max_length),
    }


def history_from(value: Any) -> Any:
    """Undo :func:`history_to_primitives`; anything else stays what it is."""
    if not (isinstance(value, dict) and _HISTORY in value):
        return value
    return HistoryBuffer(value[_HISTORY], value['count'], value['max_length'])


def without_wrapper(state: Any) -> Any:
    """Return a model's state under the model's own names.

    MMEngine's strategies save that of the model wrapper.

    Args:
        state (dict): Of a model, or of one in a model wrapper.
    """
    if not all(name.startswith('module.') for name in state):
        return state
    found: Any = OrderedDict(
        (name.removeprefix('module.'), value) for name, value in state.items()
    )
    versions = OrderedDict(
        (name.removeprefix('module').removeprefix('.'), value)
        for name, value in (versions_of(state) or {}).items()
    )
    set_versions(found, versions)
    return found
