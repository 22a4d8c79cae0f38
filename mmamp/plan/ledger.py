"""Who has how much memory, when."""

import weakref
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from torch import Tensor

from mmamp.compat.torch import storage_key

WEIGHTS = 'weights'
LOW_WEIGHTS = 'weights in low precision'
GRADIENTS = 'gradients'
STATE = 'optimizer state'
AVERAGES = 'averages'
BUFFERS = 'buffers'
GUARD = "guard's copies"
ACTIVATIONS = 'activations'
PENALTIES = "penalties' second graph"
BACKWARD = 'backward pass'
BUCKETS = "DDP's buckets"
GATHERED = 'gathered by FSDP2'
INPUTS = 'inputs'
REST = 'rest'
PARTS = (
    *(WEIGHTS, LOW_WEIGHTS, GRADIENTS, STATE, AVERAGES, BUFFERS, GUARD),
    *(ACTIVATIONS, PENALTIES, BACKWARD, BUCKETS, GATHERED, INPUTS, REST),
)
"""What memory is for, in the order that it is shown in."""


@dataclass(eq=False)
class Block:
    """Memory of one storage.

    Args:
        size (int): Bytes, as the allocator rounds them.
        part (str): Of :data:`PARTS`. What it is may show later: a gradient is
            one from the moment that it is made.
        module (str): Whose forward pass made it; empty if none did.
        shape (tuple[int, ...]): Of the tensor that it was made for.
    """

    size: int
    part: str
    module: str = ''
    shape: tuple[int, ...] = ()


@dataclass
class Moment:
    """What is in memory at one time.

    Args:
        total (int): Bytes.
        parts (dict[str, int]): The same, by what it is for.
        modules (dict[str, int]): Activations by the module that made them.
        mark (str): Which phase it is in.
    """

    total: int
    parts: dict[str, int]
    modules: dict[str, int]
    mark: str


@dataclass
class Ledger:
    """Follows storages from when they are made to when they are freed.

    Args:
        granularity (int): What the device's allocator rounds up to.
    """

    granularity: int = 1
    _events: list[tuple[Block, int]] = field(default_factory=list)
    _marks: list[tuple[int, str]] = field(default_factory=list)
    _known: dict[int, Block] = field(default_factory=dict)
    _refs: dict[int, weakref.ref[object]] = field(default_factory=dict)

    def rounded(self, size: int) -> int:
        """Return what the allocator takes for a number of bytes."""
        return -(-size // self.granularity) * self.granularity

    def block_of(self, tensor: Tensor) -> Block | None:
        """Return the memory of a tensor; None of what is not known."""
        return self._known.get(storage_key(tensor))

    def add(self, tensor: Tensor, part: str, module: str = '') -> Block | None:
        """Note a tensor's memory, if it is new.

        Args:
            tensor (Tensor): Whose storage it is.
            part (str): Of :data:`PARTS`.
            module (str): That made it. Defaults to none.

        Returns:
            Block or None: The new one.
        """
        key = storage_key(tensor)
        if key in self._known:
            return None
        storage = tensor.untyped_storage()
        size = self.rounded(storage.nbytes())
        block = Block(size, part, module, tuple(tensor.shape))
        self._known[key] = block
        self._refs[key] = weakref.ref(storage, lambda _: self._free(key))
        self._events.append((block, size))
        return block

    def pass_by(self, size: int, part: str) -> None:
        """Note memory that comes and goes within an operator.

        Args:
            size (int): Bytes.
            part (str): Of :data:`PARTS`.
        """
        block = Block(self.rounded(size), part)
        self._events += [(block, block.size), (block, -block.size)]

    def resize(self, key: int, size: int) -> None:
        """Note that a storage has another size now.

        Args:
            key (int): Of the storage.
            size (int): Bytes.
        """
        block = self._known.get(key)
        if block is not None:
            size = self.rounded(size)
            self._events.append((block, size - block.size))
            block.size = size

    def _free(self, key: int) -> None:
        block = self._known.pop(key)
        del self._refs[key]
        self._events.append((block, -block.size))
        block.size = 0

    def turn_into(self, tensors: Iterable[Tensor], part: str) -> None:
        """Say what some memory is for, from its beginning.

        Args:
            tensors (Iterable[Tensor]): Whose it is; noted now if it is new.
            part (str): Of :data:`PARTS`.
        """
        for tensor in tensors:
            block = self.block_of(tensor) or self.add(tensor, part)
            if block is not None:
                block.part = part

    @contextmanager
    def phase(self, mark: str) -> Iterator[None]:
        """Name what happens meanwhile.

        Args:
            mark (str): Such as ``'generator: backward'``.
        """
        outside = self._marks[-1][1] if self._marks else ''
        self._marks.append((len(self._events), mark))
        try:
            yield
        finally:
            self._marks.append((len(self._events), outside))

    @property
    def now(self) -> int:
        """int: How many events there were so far."""
        return len(self._events)

    def peak(self, first: int = 0, last: int | None = None) -> Moment:
        """Return the moment when most is in memory.

        Args:
            first (int): Event from which on it is looked for. Defaults to 0.
            last (int, optional): To which. Defaults to None: the last.
        """
        total = best = sum(change for _, change in self._events[:first])
        at = first
        for i, (_, change) in enumerate(self._events[first:last], first + 1):
            total += change
            if total > best:
                best, at = total, i
        return self.moment(at)

    def peaks(self, first: int, last: int) -> dict[str, int]:
        """Return the most that was in memory in each phase.

        Args:
            first (int): Event from which on it is looked for.
            last (int): To which.
        """
        total = sum(change for _, change in self._events[:first])
        found: dict[str, int] = {}
        marks = iter([*self._marks, (len(self._events) + 1, '')])
        until, following = next(marks)
        mark = ''
        for at, (_, change) in enumerate(self._events[:last]):
            while until <= at:
                mark = following
                until, following = next(marks)
            if at >= first:
                total += change
                found[mark] = max(found.get(mark, 0), total)
        return found

    def moment(self, at: int) -> Moment:
        """Return what is in memory after some events.

        Args:
            at (int): How many.
        """
        parts: Counter[str] = Counter()
        modules: Counter[str] = Counter()
        for block, change in self._events[:at]:
            parts[block.part] += change
            if block.part == ACTIVATIONS:
                modules[block.module] += change
        return Moment(
            parts.total(),
            {x: parts[x] for x in PARTS if parts[x]},
            {x: n for x, n in modules.most_common() if n > 0},
            self._mark_at(at),
        )

    def timeline(
        self, first: int, last: int, points: int
    ) -> list[tuple[str, dict[str, int]]]:
        """Return what is in memory between two events, in so many points.

        The largest moment of each stretch stands for it, and a stretch does
        not go beyond its phase.

        Args:
            first (int): The one.
            last (int): The other.
            points (int): At about how many points.

        Returns:
            list[tuple[str, dict[str, int]]]: Phase, and bytes by part.
        """
        cuts = {first, last} | {at for at, _ in self._marks}
        step = max((last - first) // points, 1)
        cuts |= set(range(first, last, step))
        ordered = sorted(x for x in cuts if first <= x <= last)
        parts: Counter[str] = Counter()
        for block, change in self._events[:first]:
            parts[block.part] += change
        found = []
        for begin, end in pairwise(ordered):
            best, kept = -1, dict(parts)
            for block, change in self._events[begin:end]:
                parts[block.part] += change
                if parts.total() > best:
                    best, kept = parts.total(), dict(parts)
            mark = self._mark_at(end)
            found.append((mark, {x: n for x, n in kept.items() if n}))
        return found

    def _mark_at(self, at: int) -> str:
        """Return the phase in which the event before a place was."""
        found = ''
        for begin, mark in self._marks:
            if begin >= at:
                break
            found = mark
        return found
