"""Copies of what goes into a checkpoint, in memory that is used again."""

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, UntypedStorage

from mmamp.precision.devices import CPU, device_of_type
from mmamp.utils.memory import is_plain

_ATOMS = {
    *(bool, int, float, complex, str, bytes, type(None)),
    *(torch.dtype, torch.device, torch.Size),
}
"""Types of what nobody changes."""

_Kind = tuple[int, str]
"""Of memory: bytes, and the type of the device that they come from."""


class Snapshot:
    """Copies contents of checkpoints into the memory of the CPU.

    The memory of one copy is that of the next, which must not be made before
    the first is needed no more: to get new memory takes longer than to copy.
    What the next one has no use for is let go of. From an accelerator all is
    copied at once, into pinned memory.
    """

    def __init__(self) -> None:
        self._memory: dict[_Kind, list[UntypedStorage]] = {}

    def take(self, content: Any) -> Any:
        """Copy a content as it is at this moment.

        Args:
            content (Any): Tensors, on any device, and containers of anything.

        Returns:
            Any: The same, its tensors on the CPU: those that share memory
            share it in the copy, too.
        """
        copying = _Copying(self._memory)
        with torch.no_grad():
            copied = copying(content)
        copying.finish()
        self._memory = copying.used
        return copied


class _Copying:
    """One copy."""

    def __init__(self, memory: dict[_Kind, list[UntypedStorage]]) -> None:
        self.used: dict[_Kind, list[UntypedStorage]] = {}
        self._memory = memory
        self._storages: dict[tuple[str, int, int], UntypedStorage] = {}
        # Accelerators that are copying.
        self._devices: set[str] = set()

    def __call__(self, value: Any) -> Any:
        kind = type(value)
        if kind in _ATOMS:
            return value
        if isinstance(value, Tensor):
            return self._tensor(value)
        if kind is list or kind is tuple:
            # A history may have a million numbers.
            if set(map(type, value)) <= _ATOMS:
                return kind(value)
            return kind([self(item) for item in value])
        if kind is dict or kind is OrderedDict:
            # With the versions that a model's state has as an attribute.
            copied = copy.copy(value)
            for key, item in value.items():
                copied[key] = self(item)
            return copied
        return copy.deepcopy(value)

    def _tensor(self, tensor: Tensor) -> Tensor:
        if not is_plain(tensor):
            return tensor.detach().to(CPU.type, copy=True)
        place = self._storage(tensor.untyped_storage())
        copied = torch.empty(0, dtype=tensor.dtype).set_(
            place, tensor.storage_offset(), tensor.size(), tensor.stride()
        )
        if type(tensor) is torch.nn.Parameter:
            return torch.nn.Parameter(copied, tensor.requires_grad)
        return copied.requires_grad_(tensor.requires_grad)

    def _storage(self, source: UntypedStorage) -> UntypedStorage:
        """Copy the memory of a tensor, unless that was done for another."""
        key = str(source.device), source.data_ptr(), source.nbytes()
        if key not in self._storages:
            place = self._place((source.nbytes(), source.device.type))
            place.copy_(source, non_blocking=True)
            self._storages[key] = place
            self._devices.add(source.device.type)
        return self._storages[key]

    def _place(self, kind: _Kind) -> UntypedStorage:
        nbytes, device = kind
        free = self._memory.get(kind)
        place: UntypedStorage = (
            free.pop()
            if free
            else device_of_type(device).pinned(nbytes).untyped_storage()
        )
        self.used.setdefault(kind, []).append(place)
        return place

    def finish(self) -> None:
        """Wait, once, for the accelerators that are copying."""
        for device in self._devices:
            device_of_type(device).synchronize()
