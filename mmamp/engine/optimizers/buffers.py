"""The values of a model's persistent buffers, and what has changed them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
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
Other = TypeVar('Other', bound='Copy')


@dataclass
class Copy:
    """Buffers of one device and dtype, copied one behind the other.

    Args:
        slots (list[Slot]): Where they are.
        tensors (list[Tensor]): The buffers themselves.
        values (Tensor): Their elements, in one dimension.
    """

    slots: list[Slot]
    tensors: list[Tensor]
    values: Tensor

    @classmethod
    def of(cls, slots: list[Slot], tensors: list[Tensor]) -> 'Copy':
        """Copy buffers as they are now."""
        return cls(slots, tensors, torch.cat([_elements(t) for t in tensors]))

    def split(self: Kind) -> list[Kind]:
        """Take the buffers apart."""
        sizes = [len(_elements(t)) for t in self.tensors]
        values = self.values.split(sizes)
        return [
            replace(self, slots=[slot], tensors=[tensor], values=part)
            for slot, tensor, part in zip(
                self.slots, self.tensors, values, strict=True
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

    def write(self, values: Tensor, olds: list[Tensor]) -> None:
        """Give the buffers values, in place where they are what they were.

        Args:
            values (Tensor): As in this copy.
            olds (list[Tensor]): What was at the same slots before. A buffer
                that is another tensor now may be somebody else's too.
        """
        flats = [_elements(t) for t in self.tensors]
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
                _put(slot, _shaped(part, now))


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
        elif _is_dense(tensor):
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


@dataclass
class Changed(Copy):
    """What forward passes changed in dense buffers.

    Args:
        slots (list[Slot]): Where they are.
        tensors (list[Tensor]): What was there at first.
        values (Tensor): What they would be without those passes.
        after (Tensor): What the last pass left.
    """

    after: Tensor

    def split(self) -> list['Changed']:
        """Take the buffers apart."""
        parts = super().split()
        afters = self.after.split([len(part.values) for part in parts])
        return [
            replace(part, after=after)
            for part, after in zip(parts, afters, strict=True)
        ]

    def undone(self, now: Tensor, moved: bool) -> Tensor:
        """Return what the buffers would be without those passes.

        Args:
            now (Tensor): What they are.
            moved (bool): Whether others may have changed them since.
        """
        before, after = self.values, self.after
        changed = _differ(after, before)
        if not moved:
            return torch.where(changed, before, now)
        if now.is_floating_point() or now.is_complex():
            back = now - after + before
            finite = torch.where(before.isfinite(), before, now)
            back = torch.where(back.isfinite(), back, finite)
        elif now.dtype is torch.bool:
            back = now
        else:
            back = now - after + before
        back = torch.where(_differ(now, after), back, before)
        return torch.where(changed, back, now)

    def then(self, later: 'Changed', moved: bool) -> 'Changed':
        """Join it with what a later pass changed."""
        before = self.undone(later.values, moved)
        return replace(self, values=before, after=later.after)

    def instead(self, later: 'Changed') -> 'Changed':
        """Join it with a later pass that was run in its place.

        What both changed is undone for the later one alone, unless the first
        one has spoilt it.
        """
        again = _differ(later.after, later.values)
        again &= _differ(self.after, self.values) & later.values.isfinite()
        before = self.undone(later.values, moved=False)
        before = torch.where(again, later.values, before)
        return replace(self, values=before, after=later.after)


@dataclass
class Change:
    """What forward passes changed.

    Args:
        dense (list[Changed]): Of plain and dense buffers.
        rebuilt (dict[Slot, Tensor or None]): What others were: those that
            were made, got another shape, or are not dense.
        moved (bool): Whether others may have changed buffers since the
            forward passes before these. Defaults to False.
    """

    dense: list[Changed]
    rebuilt: dict[Slot, Tensor | None] = field(default_factory=dict)
    moved: bool = False

    @classmethod
    def between(
        cls,
        entry: Snapshot,
        after: Snapshot,
        made: dict[Slot, Tensor],
        moved: bool,
    ) -> 'Change':
        """Compare the buffers from before a forward pass with those after.

        Args:
            entry (Snapshot): From before.
            after (Snapshot): From after.
            made (dict[Slot, Tensor]): What was made in it, as it was at first.
            moved (bool): As of the class.
        """
        # What was made in it is one that has changed since it was made.
        first = [
            Copy.of([slot], [tensor])
            for slot, tensor in made.items()
            if _is_dense(tensor) and _is_finite(tensor)
        ]
        pairs, olds, news = _matched([*entry.dense, *first], after.dense)
        known = entry.slots() if news or after.others else set()

        def original(slot: Slot) -> Tensor | None:
            if slot not in made:
                return entry.value(slot)
            # What was made of values that are not finite goes again.
            return made[slot] if _is_finite(made[slot]) else None

        rebuilt = {
            slot: original(slot)
            for slot in [*news, *after.others]
            if slot in made
            or (
                slot in known
                and not _is_same(
                    entry.others.get(slot), after.others.get(slot)
                )
            )
        }
        for slot in olds.keys() - news.keys() - after.others.keys():
            if slot not in made:
                rebuilt[slot] = entry.value(slot)
        dense = [
            Changed(old.slots, old.tensors, old.values, new.values)
            for old, new in pairs
        ]
        return cls(dense, rebuilt, moved)

    def then(self, later: 'Change') -> 'Change':
        """Join it with what a later forward pass changed.

        Args:
            later (Change): The later one.
        """
        pairs, olds, news = _matched(self.dense, later.dense)
        return self._joined(
            later, [a.then(b, later.moved) for a, b in pairs], olds, news
        )

    def instead(self, later: 'Change') -> 'Change':
        """Join it with a later forward pass that was run in its place.

        Args:
            later (Change): The later one.
        """
        pairs, olds, news = _matched(self.dense, later.dense)
        return self._joined(
            later, [a.instead(b) for a, b in pairs], olds, news
        )

    def _joined(
        self,
        later: 'Change',
        dense: list[Changed],
        olds: dict[Slot, Changed],
        news: dict[Slot, Changed],
    ) -> 'Change':
        rebuilt = {**later.rebuilt, **self.rebuilt}
        for slot, old in olds.items():
            if slot in news or slot in later.rebuilt:
                rebuilt.setdefault(slot, old.value())
        for slot in rebuilt:
            olds.pop(slot, None)
            news.pop(slot, None)
        dense = [*dense, *olds.values(), *news.values()]
        return Change(dense, rebuilt, self.moved)

    def _now(self) -> list[Copy]:
        """Copy the dense buffers as they are now."""
        return snapshot(slot for x in self.dense for slot in x.slots).dense

    def size(self) -> int:
        """Return how many elements it keeps."""
        return sum(2 * x.values.numel() for x in self.dense)

    def undone(self, now: list[Copy], moved: bool) -> list[Tensor]:
        """Return what dense buffers would be without it.

        Args:
            now (list[Copy]): What they are.
            moved (bool): Whether others may have changed buffers since.

        Returns:
            list[Tensor]: The elements of each copy.
        """
        pairs, _, rest = _matched(self.dense, now)
        if not rest and len(pairs) == len(now):
            return [mine.undone(copy.values, moved) for mine, copy in pairs]
        parts = {
            slot: mine.undone(copy.values, moved)
            for mine, copy in pairs
            for slot in copy.slots
        }
        return [
            torch.cat([parts.get(x.slots[0], x.values) for x in copy.split()])
            for copy in now
        ]

    def heal(self, moved: bool) -> None:
        """Undo it where what it left is not finite.

        Args:
            moved (bool): Whether others may have changed buffers since.
        """
        now = self._now()
        for copy, old in zip(now, self.undone(now, moved), strict=True):
            if copy.values.is_floating_point() or copy.values.is_complex():
                finite = copy.values.isfinite()
                kept = torch.where(finite, copy.values, old)
                copy.write(kept, copy.tensors)
        for slot, original in self.rebuilt.items():
            if not _is_finite(buffers_of(slot[0]).get(slot[1])):
                _put(slot, original)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Undo it for a while."""
        now = self._now()
        rebuilt = {
            slot: buffers_of(slot[0]).get(slot[1])
            for slot, original in self.rebuilt.items()
            if original is not None
        }
        with torch.no_grad():
            for copy, old in zip(now, self.undone(now, True), strict=True):
                copy.write(old, copy.tensors)
        for slot in rebuilt:
            _put(slot, self.rebuilt[slot])
        try:
            yield
        finally:
            with torch.no_grad():
                for copy in now:
                    copy.write(copy.values, copy.tensors)
            for slot, tensor in rebuilt.items():
                _put(slot, tensor)

    def put_back(self, skipped: Tensor | None, moved: bool) -> None:
        """Undo it.

        Args:
            skipped (Tensor or None): A scalar boolean on the device that
                decides; None means yes.
            moved (bool): Whether others may have changed buffers since.
        """
        rebuilt = dict(self.rebuilt)
        pairs, olds, _ = _matched(self.dense, self._now())
        for change, current in pairs:
            values = change.undone(current.values, moved)
            if skipped is not None:
                flag = skipped.to(values.device)
                values = torch.where(flag, values, current.values)
            current.write(values, change.tensors)
        rebuilt.update({slot: old.value() for slot, old in olds.items()})
        # What has another shape cannot be chosen on the device.
        if rebuilt and (skipped is None or bool(skipped)):
            for slot, original in rebuilt.items():
                _put(slot, original)


def _matched(
    olds: list[Kind], news: list[Other]
) -> tuple[list[tuple[Kind, Other]], dict[Slot, Kind], dict[Slot, Other]]:
    """Pair the copies of the same buffers; return what has no pair, too."""
    if len(olds) == len(news) and all(map(Copy.fits, olds, news)):
        return list(zip(olds, news, strict=True)), {}, {}
    by_slot = {x.slots[0]: x for old in olds for x in old.split()}
    others = {x.slots[0]: x for new in news for x in new.split()}
    pairs = [
        (by_slot.pop(slot), others.pop(slot))
        for slot in by_slot.keys() & others.keys()
        if by_slot[slot].fits(others[slot])
    ]
    return pairs, by_slot, others


def _is_same(
    old: tuple[Tensor, int, Tensor] | None,
    new: tuple[Tensor, int, Tensor] | None,
) -> bool:
    if old is None or new is None:
        return False
    return old[0] is new[0] and old[1] == new[1]


def _differ(one: Tensor, other: Tensor) -> Tensor:
    """Tell where two differ; nan is nan."""
    differ = one != other
    if one.is_floating_point() or one.is_complex():
        differ &= (one == one) | (other == other)
    return differ


def _is_dense(tensor: Tensor) -> bool:
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


def _put(slot: Slot, tensor: Tensor | None) -> None:
    module, name = slot
    setattr(module, name, tensor)


def _is_finite(tensor: Tensor | None) -> bool:
    """Tell it of any tensor; waits for its device."""
    if tensor is None or not (
        tensor.is_floating_point() or tensor.is_complex()
    ):
        return True
    values = tensor.coalesce().values() if tensor.is_sparse else tensor
    return bool(torch.isfinite(values).all())
