"""The values of a model's persistent buffers."""

import weakref
from collections import defaultdict
from collections.abc import (
    Container,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from operator import is_, is_not
from typing import Any, TypeVar

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
from mmamp.utils.memory import is_plain

Slot = tuple[nn.Module, str]
"""Where a buffer is: its module, and its name there."""

LARGE = 2**16
"""Elements from which on a buffer is copied by itself, and only once autograd
has counted a change of it: a mask, a table of positions, a queue. What changes
uncounted, as BatchNorm's statistics do, has an element a channel."""

Kind = TypeVar('Kind', bound='Copy')


@dataclass
class Memory:
    """Plain dense buffers of one device and dtype, as they lie in memory.

    Args:
        slots (list[Slot]): Where they are.
        tensors (list[Tensor]): The buffers themselves.
        counted (list[Tensor]): Their elements, each in one dimension; what is
            written to these, autograd counts as a change of the buffer.
        uncounted (list[Tensor]): The same, without that.
    """

    slots: list[Slot]
    tensors: list[Tensor]
    counted: list[Tensor]
    uncounted: list[Tensor]

    @classmethod
    def of(cls, slots: list[Slot], tensors: list[Tensor]) -> 'Memory':
        """Find it out."""
        return cls(
            slots,
            tensors,
            [_elements(tensor.detach()) for tensor in tensors],
            [_elements(tensor.data) for tensor in tensors],
        )

    def split(self) -> list['Memory']:
        """Take the buffers apart."""
        return [
            Memory([slot], [tensor], [counted], [uncounted])
            for slot, tensor, counted, uncounted in zip(
                self.slots,
                self.tensors,
                self.counted,
                self.uncounted,
                strict=True,
            )
        ]

    def versions(self) -> list[int]:
        """Return how often autograd has counted a change of each."""
        return [*map(times_changed, self.tensors)]


@dataclass
class Copy:
    """Buffers of one device and dtype, copied one behind the other.

    Args:
        memory (Memory): Where they are.
        values (Tensor): Their elements, in one dimension.
        versions (list[int]): How often autograd has counted a change of each.
    """

    memory: Memory
    values: Tensor
    versions: list[int]

    @classmethod
    def of(cls, memory: Memory) -> 'Copy':
        """Copy buffers as they are now."""
        return cls(memory, torch.cat(memory.counted), memory.versions())

    @property
    def slots(self) -> list[Slot]:
        """list[Slot]: Where they are."""
        return self.memory.slots

    @property
    def tensors(self) -> list[Tensor]:
        """list[Tensor]: The buffers themselves."""
        return self.memory.tensors

    def split(self: Kind) -> list[Kind]:
        """Take the buffers apart."""
        values = self.values.split([len(x) for x in self.memory.counted])
        return [
            replace(self, memory=memory, values=part, versions=[version])
            for memory, part, version in zip(
                self.memory.split(), values, self.versions, strict=True
            )
        ]

    def value(self) -> Tensor:
        """Return the copy of a single buffer, in its shape."""
        return _shaped(self.values, self.tensors[0])

    def fits(self, other: 'Copy') -> bool:
        """Tell whether the same elements stand at the same places."""
        return self.memory is other.memory or (
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
        memory = self.memory
        flats = [
            known if slot in counted else unknown
            for slot, known, unknown in zip(
                memory.slots, memory.counted, memory.uncounted, strict=True
            )
        ]
        parts = values.split([len(flat) for flat in flats])
        same = [*map(is_, memory.tensors, olds)]
        if all(same):
            foreach_copy_(flats, parts)
            return
        if any(same):
            foreach_copy_(
                [flat for flat, i in zip(flats, same, strict=True) if i],
                [part for part, i in zip(parts, same, strict=True) if i],
            )
        for slot, now, part, is_same in zip(
            memory.slots, memory.tensors, parts, same, strict=True
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
    return _Places(slots).snapshot()


class Layout:
    """Where the persistent buffers of some models are.

    Found out once, and good for as long as the models have the same modules,
    these the same buffers, and those the same memory.

    Args:
        roots (Sequence[nn.Module]): The models.

    Attributes:
        slots (list[Slot]): Where buffers are, the empty ones too.
        lazy (list[nn.Module]): Modules that have lazy buffers.
    """

    def __init__(self, roots: Sequence[nn.Module]) -> None:
        # Of modules without buffers nothing but their dicts is held: a model
        # that nobody else has any more is to go.
        self._roots = [weakref.ref(root) for root in roots]
        modules, guarded = _modules_of(roots)
        self._dicts: list[tuple[Mapping[str, Any], list[Any], int]] = [
            (found, [*found.values()], len(found))
            for found in (
                *map(children_of, modules),
                *map(buffers_of, guarded),
            )
        ]
        self.slots = _slots_of(guarded)
        self.lazy = [
            module
            for module in guarded
            if any(
                is_lazy(x)
                for x in buffers_of(module).values()
                if x is not None
            )
        ]
        self._places = _Places(self.slots)

    def holds(self, roots: Sequence[nn.Module]) -> bool:
        """Tell whether all is where it was.

        Args:
            roots (Sequence[nn.Module]): The models now.
        """
        # Lazy ones become others without being replaced.
        if self.lazy or len(roots) != len(self._roots):
            return False
        for root, known in zip(roots, self._roots, strict=True):
            if known() is not root:
                return False
        # In each forward pass, and so without a call for each module.
        for found, known_values, number in self._dicts:
            if len(found) != number or (
                number and any(map(is_not, found.values(), known_values))
            ):
                return False
        return self._places.hold()

    def snapshot(self) -> Snapshot:
        """Copy the buffers as they are now."""
        return self._places.snapshot()


class _Places:
    """The memory of some buffers."""

    def __init__(self, slots: Iterable[Slot]) -> None:
        groups: dict[
            tuple[torch.device, torch.dtype], tuple[list[Slot], list[Tensor]]
        ] = defaultdict(lambda: ([], []))
        large: list[tuple[Slot, Tensor]] = []
        self._others: list[tuple[Slot, Tensor]] = []
        self._empty: set[Slot] = set()
        for slot in slots:
            tensor = buffers_of(slot[0]).get(slot[1])
            if tensor is None or is_lazy(tensor):
                self._empty.add(slot)
            elif is_dense(tensor) and tensor.numel() >= LARGE:
                large.append((slot, tensor))
            elif is_dense(tensor):
                of_kind, tensors = groups[tensor.device, tensor.dtype]
                of_kind.append(slot)
                tensors.append(tensor)
            else:
                self._others.append((slot, tensor))
        self._small = [Memory.of(*group) for group in groups.values()]
        self._large = [Memory.of([slot], [x]) for slot, x in large]
        self._copies: list[Copy | None] = [None] * len(large)
        self._known = [
            (x, x.data_ptr(), x.shape, x.stride())
            for memory in self._small + self._large
            for x in memory.tensors
        ]

    def hold(self) -> bool:
        for x, start, shape, stride in self._known:
            if (
                x.data_ptr() != start
                or x.shape != shape
                or x.stride() != stride
            ):
                return False
        return True

    def snapshot(self) -> Snapshot:
        self._copies = [
            copy
            if copy is not None and copy.versions == memory.versions()
            else Copy.of(memory)
            for memory, copy in zip(self._large, self._copies, strict=True)
        ]
        return Snapshot(
            [*map(Copy.of, self._small), *filter(None, self._copies)],
            {
                slot: (tensor, times_changed(tensor), tensor.detach().clone())
                for slot, tensor in self._others
            },
            self._empty,
        )


def _slots_of(modules: Iterable[nn.Module]) -> list[Slot]:
    """List where the persistent buffers of modules are, the empty ones too."""
    return [
        (module, name)
        for module in modules
        if (buffers := buffers_of(module))
        for name in buffers
        if name not in non_persistent_buffers(module)
    ]


def _modules_of(
    roots: Sequence[nn.Module],
) -> tuple[list[nn.Module], list[nn.Module]]:
    """List modules, and those whose buffers a forward pass may spoil.

    Args:
        roots (Sequence[nn.Module]): Models; what several have counts once.
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
    guarded = [
        module
        for module in seen
        if not getattr(type(module), 'keeps_itself_finite', False)
    ]
    return [*seen], guarded


@contextmanager
def watch_made(lazy: list[nn.Module]) -> Iterator[dict[Slot, Tensor]]:
    """Copy buffers that are made meanwhile, as they are at first.

    Args:
        lazy (list[nn.Module]): Modules that have lazy ones.

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
        for module in lazy:
            # After the module's own hook, which makes them.
            handle = module.register_forward_pre_hook(keep_lazy)
            stack.callback(handle.remove)
        yield made


def is_dense(tensor: Tensor) -> bool:
    """Tell whether a buffer is plain memory of numbers."""
    return is_plain(tensor) and tensor.device.type != 'meta'


def _elements(tensor: Tensor) -> Tensor:
    """Return the memory that a tensor spans, in one dimension."""
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
