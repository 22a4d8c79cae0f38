"""The values of a model's persistent buffers."""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from mmengine.model import BaseAveragedModel
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from mmamp.compat.torch import (
    buffers_of,
    children_of,
    foreach_copy_,
    non_persistent_buffers,
    times_changed,
    when_buffers_are_registered,
)

Slot = tuple[nn.Module, str]
"""Where a buffer is: its module, and its name there."""

Kind = TypeVar('Kind', bound='Copy')


@dataclass
class Copy:
    """Buffers of one device and dtype, copied one behind the other.

    Args:
        slots (list[Slot]): Where they are.
        tensors (list[Tensor]): The buffers themselves.
        values (Tensor): Their elements, in one dimension.
        versions (list[int]): How often autograd has counted a change of each.
    """

    slots: list[Slot]
    tensors: list[Tensor]
    values: Tensor
    versions: list[int]

    @classmethod
    def of(cls, slots: list[Slot], tensors: list[Tensor]) -> 'Copy':
        """Copy buffers as they are now."""
        values = torch.cat([_elements(t) for t in tensors])
        return cls(slots, tensors, values, [times_changed(t) for t in tensors])

    def split(self: Kind) -> list[Kind]:
        """Take the buffers apart."""
        sizes = [len(_elements(t)) for t in self.tensors]
        values = self.values.split(sizes)
        return [
            replace(
                self,
                slots=[slot],
                tensors=[tensor],
                values=part,
                versions=[version],
            )
            for slot, tensor, part, version in zip(
                self.slots, self.tensors, values, self.versions, strict=True
            )
        ]

    def value(self) -> Tensor:
        """Return the copy of a single buffer, in its shape."""
        return _shaped(self.values, self.tensors[0])

    def fits(self, other: 'Copy') -> bool:
        """Tell whether the same elements stand at the same places."""
        return (
            self.slots == other.slots
            and self.values.dtype == other.values.dtype
            and self.values.device == other.values.device
            and all(
                a is b or (a.shape, a.stride()) == (b.shape, b.stride())
                for a, b in zip(self.tensors, other.tensors, strict=True)
            )
        )

    def write(
        self, values: Tensor, olds: list[Tensor], counted: Container[Slot]
    ) -> None:
        """Give the buffers values, in place where they are what they were.

        Args:
            values (Tensor): As in this copy.
            olds (list[Tensor]): What was at the same slots before. A buffer
                that is another tensor now may be somebody else's too.
            counted (Container[Slot]): Where autograd counts it as a change,
                so that no graph that holds the buffer can be used any more.
        """
        flats = [
            _elements(tensor if slot in counted else tensor.data)
            for slot, tensor in zip(self.slots, self.tensors, strict=True)
        ]
        parts = values.split([len(flat) for flat in flats])
        same = [a is b for a, b in zip(self.tensors, olds, strict=True)]
        if any(same):
            foreach_copy_(
                [flat for flat, i in zip(flats, same, strict=True) if i],
                [part for part, i in zip(parts, same, strict=True) if i],
            )
        for slot, now, part, is_same in zip(
            self.slots, self.tensors, parts, same, strict=True
        ):
            if not is_same:
                put(slot, _shaped(part, now))


@dataclass
class Snapshot:
    """The buffers of some modules at one moment.

    Args:
        dense (list[Copy]): Those that are plain and dense.
        others (dict[Slot, tuple]): A sparse one, or one of a subclass: the
            tensor, its version, a copy.
        empty (set[Slot]): Where there is none yet.
    """

    dense: list[Copy]
    others: dict[Slot, tuple[Tensor, int, Tensor]]
    empty: set[Slot]

    def value(self, slot: Slot) -> Tensor | None:
        """Return what a buffer was, in its shape; None if there was none."""
        if slot in self.others:
            return self.others[slot][2]
        for copy in self.dense:
            if slot in copy.slots:
                return copy.split()[copy.slots.index(slot)].value()
        return None

    def slots(self) -> set[Slot]:
        """Return where it knows buffers, or that there is none."""
        dense = {slot for copy in self.dense for slot in copy.slots}
        return dense | self.others.keys() | self.empty


def snapshot(slots: Iterable[Slot]) -> Snapshot:
    """Copy buffers as they are now."""
    groups: dict[
        tuple[torch.device, torch.dtype], tuple[list[Slot], list[Tensor]]
    ] = defaultdict(lambda: ([], []))
    found = Snapshot([], {}, set())
    for slot in slots:
        tensor = buffers_of(slot[0]).get(slot[1])
        if tensor is None or is_lazy(tensor):
            found.empty.add(slot)
        elif is_dense(tensor):
            of_kind, tensors = groups[tensor.device, tensor.dtype]
            of_kind.append(slot)
            tensors.append(tensor)
        else:
            copy = tensor.detach().clone()
            found.others[slot] = (tensor, times_changed(tensor), copy)
    found.dense = [Copy.of(*group) for group in groups.values()]
    return found


def slots_of(modules: Iterable[nn.Module]) -> list[Slot]:
    """List where the persistent buffers of modules are, the empty ones too."""
    return [
        (module, name)
        for module in modules
        if (buffers := buffers_of(module))
        for name in buffers
        if name not in non_persistent_buffers(module)
    ]


def modules_of(roots: Iterable[nn.Module]) -> list[nn.Module]:
    """List the modules whose buffers a forward pass may spoil.

    Args:
        roots (Iterable[nn.Module]): Models; what several have counts once.
    """
    seen: dict[nn.Module, None] = {}
    stack = list(roots)[::-1]
    while stack:
        module = stack.pop()
        if module in seen or isinstance(module, BaseAveragedModel):
            continue
        seen[module] = None
        children = children_of(module).values()
        stack += [child for child in children if child is not None][::-1]
    return [
        module
        for module in seen
        if not getattr(type(module), 'keeps_itself_finite', False)
    ]


@contextmanager
def watch_made(modules: list[nn.Module]) -> Iterator[dict[Slot, Tensor]]:
    """Copy buffers that are made meanwhile, as they are at first.

    Args:
        modules (list[nn.Module]): Which to look for lazy ones among.

    Yields:
        dict[Slot, Tensor]: Filled as it goes.
    """
    made: dict[Slot, Tensor] = {}

    def keep(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        if tensor is not None and name not in buffers_of(module):
            made[module, name] = tensor.detach().clone()

    def keep_lazy(module: nn.Module, args: object) -> None:
        for name, tensor in buffers_of(module).items():
            if tensor is not None and not is_lazy(tensor):
                made.setdefault((module, name), tensor.detach().clone())

    with ExitStack() as stack:
        stack.callback(when_buffers_are_registered(keep).remove)
        for module in modules:
            if any(
                is_lazy(x)
                for x in buffers_of(module).values()
                if x is not None
            ):
                # After the module's own hook, which makes them.
                handle = module.register_forward_pre_hook(keep_lazy)
                stack.callback(handle.remove)
        yield made


def is_dense(tensor: Tensor) -> bool:
    """Tell whether a buffer is plain memory of numbers."""
    return (
        type(tensor) in (Tensor, nn.Parameter)
        and tensor.layout is torch.strided
        and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg())
        and tensor.device.type != 'meta'
    )


def _elements(tensor: Tensor) -> Tensor:
    """Return the memory that a tensor spans, in one dimension."""
    tensor = tensor.detach()
    if tensor.is_contiguous():
        return tensor.view(-1)
    size = 1 + sum(
        (n - 1) * step
        for n, step in zip(tensor.shape, tensor.stride(), strict=True)
    )
    return tensor.as_strided((size if tensor.numel() else 0,), (1,))


def _shaped(elements: Tensor, like: Tensor) -> Tensor:
    return elements.as_strided(like.shape, like.stride()).clone()


def put(slot: Slot, tensor: Tensor | None) -> None:
    """Have a buffer be another tensor, or none."""
    module, name = slot
    setattr(module, name, tensor)


def moved_to(slot: Slot, tensor: Tensor | None) -> Tensor | None:
    """Return a tensor on the device that a buffer is on, if it is there."""
    now = buffers_of(slot[0]).get(slot[1])
    if tensor is None or now is None:
        return tensor
    return tensor.to(now.device)


def is_finite(tensor: Tensor | None) -> bool:
    """Tell it of any tensor; waits for its device."""
    if tensor is None or not (
        tensor.is_floating_point() or tensor.is_complex()
    ):
        return True
    values = tensor.coalesce().values() if tensor.is_sparse else tensor
    return bool(torch.isfinite(values).all())
