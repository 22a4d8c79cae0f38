"""What forward passes have changed in buffers, and how it is undone."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch
from torch import Tensor

from mmamp.compat.torch import buffers_of

from .buffers import (
    Copy,
    Memory,
    Slot,
    Snapshot,
    is_dense,
    is_finite,
    put,
    snapshot,
)

Kind = TypeVar('Kind', bound=Copy)
Other = TypeVar('Other', bound=Copy)


@dataclass
class Changed(Copy):
    """What forward passes changed in dense buffers.

    Args:
        memory (Memory): Where they were at first.
        values (Tensor): What they would be without those passes.
        versions (list[int]): Those of before.
        after (Tensor): What the last pass left.
        counted (set[Slot]): Of which autograd has counted a change. The
            others are as they were, or have changed in what no graph depends
            on, such as BatchNorm's statistics.
    """

    after: Tensor
    counted: set[Slot]

    @classmethod
    def between(cls, old: Copy, new: Copy) -> 'Changed':
        """Compare buffers from before a pass with the same after it."""
        counted: set[Slot] = set()
        if old.memory is not new.memory or old.versions != new.versions:
            counted = {
                slot
                for slot, *tensors, was, now in zip(
                    old.slots,
                    old.tensors,
                    new.tensors,
                    old.versions,
                    new.versions,
                    strict=True,
                )
                if tensors[0] is not tensors[1] or was != now
            }
        return cls(old.memory, old.values, old.versions, new.values, counted)

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
        if not moved:
            return torch.where(after != before, before, now)
        changed = _differ(after, before)
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
        return self._until(later, before)

    def instead(self, later: 'Changed') -> 'Changed':
        """Join it with a later pass that was run in its place.

        What both changed is undone for the later one alone, unless the first
        one has spoilt it.
        """
        again = _differ(later.after, later.values)
        again &= _differ(self.after, self.values) & later.values.isfinite()
        before = self.undone(later.values, moved=False)
        before = torch.where(again, later.values, before)
        return self._until(later, before)

    def _until(self, later: 'Changed', before: Tensor) -> 'Changed':
        return replace(
            self,
            values=before,
            after=later.after,
            counted=self.counted | later.counted,
        )


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
            Copy.of(Memory.of([slot], [tensor]))
            for slot, tensor in made.items()
            if is_dense(tensor) and is_finite(tensor)
        ]
        pairs, olds, news = _matched([*entry.dense, *first], after.dense)
        known = entry.slots() if news or after.others else set()

        def original(slot: Slot) -> Tensor | None:
            if slot not in made:
                return entry.value(slot)
            # What was made of values that are not finite goes again.
            return made[slot] if is_finite(made[slot]) else None

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
        # One copy twice is of what has not changed.
        dense = [
            Changed.between(old, new) for old, new in pairs if old is not new
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

    def _counted(self) -> set[Slot]:
        return {slot for x in self.dense for slot in x.counted}

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
        # Of whole copies, and of buffers alone.
        found = {
            tuple(copy.slots): mine.undone(copy.values, moved)
            for mine, copy in pairs
        }
        found.update({(slot,): x.values for slot, x in rest.items()})
        return [
            found[slots]
            if (slots := tuple(copy.slots)) in found
            else torch.cat([found[slot,] for slot in slots])
            for copy in now
        ]

    def heal(self, moved: bool) -> None:
        """Undo it where what it left is not finite.

        Args:
            moved (bool): Whether others may have changed buffers since.
        """
        now, counted = self._now(), self._counted()
        for copy, old in zip(now, self.undone(now, moved), strict=True):
            if copy.values.is_floating_point() or copy.values.is_complex():
                finite = copy.values.isfinite()
                kept = torch.where(finite, copy.values, old)
                copy.write(kept, copy.tensors, counted)
        for slot, original in self.rebuilt.items():
            if not is_finite(buffers_of(slot[0]).get(slot[1])):
                _put_copy(slot, original)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Undo it for a while; for good if that is never said to be over."""
        now, counted = self._now(), self._counted()
        rebuilt = {
            slot: buffers_of(slot[0]).get(slot[1])
            for slot, original in self.rebuilt.items()
            if original is not None
        }
        with torch.no_grad():
            for copy, old in zip(now, self.undone(now, True), strict=True):
                copy.write(old, copy.tensors, counted)
        for slot in rebuilt:
            _put_copy(slot, self.rebuilt[slot])
        is_over = True
        try:
            yield
        except GeneratorExit:
            is_over = False
            raise
        finally:
            if is_over:
                with torch.no_grad():
                    for copy in now:
                        copy.write(copy.values, copy.tensors, counted)
                for slot, tensor in rebuilt.items():
                    put(slot, tensor)

    def put_back(
        self, skipped: Tensor | None, moved: bool, now: list[Copy]
    ) -> None:
        """Undo it.

        Args:
            skipped (Tensor or None): A scalar boolean on the device that
                decides; None means yes.
            moved (bool): Whether others may have changed buffers since.
            now (list[Copy]): What the dense buffers are, those too that no
                forward pass has changed.
        """
        rebuilt = dict(self.rebuilt)
        pairs, olds, _ = _matched(self.dense, now)
        for change, current in pairs:
            values = change.undone(current.values, moved)
            if skipped is not None:
                flag = skipped.to(values.device)
                values = torch.where(flag, values, current.values)
            current.write(values, change.tensors, change.counted)
        rebuilt.update({slot: old.value() for slot, old in olds.items()})
        # What has another shape cannot be chosen on the device.
        if rebuilt and (skipped is None or bool(skipped)):
            for slot, original in rebuilt.items():
                _put_copy(slot, original)


def _put_copy(slot: Slot, original: Tensor | None) -> None:
    """Have a buffer be what it was; the copy that says so stays that."""
    put(slot, None if original is None else original.clone())


def _matched(
    olds: list[Kind], news: list[Other]
) -> tuple[list[tuple[Kind, Other]], dict[Slot, Kind], dict[Slot, Other]]:
    """Pair the copies of the same buffers; return what has no pair, too."""
    firsts = {x.slots[0]: x for x in news}
    pairs = [
        (old, firsts.pop(old.slots[0]))
        for old in olds
        if old.slots[0] in firsts and old.fits(firsts[old.slots[0]])
    ]
    known = {id(x) for pair in pairs for x in pair}
    by_slot = _apart(x for x in olds if id(x) not in known)
    others = _apart(x for x in news if id(x) not in known)
    pairs += [
        (by_slot.pop(slot), others.pop(slot))
        for slot in by_slot.keys() & others.keys()
        if by_slot[slot].fits(others[slot])
    ]
    return pairs, by_slot, others


def _apart(copies: Iterable[Kind]) -> dict[Slot, Kind]:
    """Return the copy of each buffer, by where it is."""
    return {x.slots[0]: x for copy in copies for x in copy.split()}


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
