"""A config file's new text."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import libcst as cst

from mmamp.migration.findings import MARK

from .reading import BASE, Source, assignment
from .rendering import WIDTH, comments_of, render
from .values import Value


@dataclass(eq=False)
class _Slot:
    """A statement of the old file, and what takes its place."""

    above: list[str]
    """Lines over it: comments, or empty."""
    code: str
    name: str | None = None
    names: frozenset[str] = frozenset()
    was: str = ''
    """The old code, where another has taken its place."""
    marks: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    heir: _Slot | None = None
    """Where what replaces it stands, if that is elsewhere."""

    def lines(self) -> list[str]:
        parts = [x for x in (self.code, *self.added) if x]
        return [*self.above, *self.marks, *'\n'.join(parts).splitlines()]


class Written(NamedTuple):
    """A file's new text.

    Args:
        text (str): All of it.
        removed (dict[str, list[str]]): Comments that went with a statement
            which has no successor, by its name.
    """

    text: str
    removed: dict[str, list[str]]


def write(
    source: Source,
    changed: dict[str, Value],
    gone: set[str],
    origins: dict[str, list[str]],
    marks: dict[str, list[str]],
    is_base_first: bool = False,
) -> Written:
    """Put new statements in place of old ones.

    Args:
        source (Source): The file as it was.
        changed (dict[str, Value]): What its new statements set, by name.
        gone (set[str]): Names whose statements are no longer needed.
        origins (dict[str, list[str]]): The old names that each new one is
            made of, whose place it takes.
        marks (dict[str, list[str]]): What is left to do, by name.
        is_base_first (bool): Whether ``_base_`` is put above all else.
            Defaults to False.

    Returns:
        Written: The new text. A comment that is not in it spoke of what has
        no place in 1.x.

    Raises:
        CannotWrite: If a new value is not known.
    """
    page = _Page(source)
    if is_base_first:
        page.put_first(BASE)
    gone = gone - page.needed(gone, changed)
    for name in sorted(gone & set(page.place), key=page.index):
        page.drop(name)
    for name, value in changed.items():
        page.put(name, value, origins.get(name, []))
    for name in sorted(gone & set(page.place), key=page.index):
        page.move_comments(
            name, [x for x in changed if name in origins.get(x, [])]
        )
    for name, reasons in marks.items():
        page.mark(name, reasons)
    return Written(page.text(), page.removed)


class _Page:
    """The statements of a file while they are rewritten."""

    def __init__(self, source: Source) -> None:
        module = source.module
        self.module = module
        lines = source.text.split('\n')
        self.slots = [_slot(source, i, lines) for i in range(len(module.body))]
        self.head = _raw(module, module.header)
        self.foot = _raw(module, module.footer)
        self.place = {x.name: x for x in self.slots if x.name is not None}
        self.touching = {
            name: self.slots[i] for name, i in source.statements.items()
        }
        self.new: dict[str, _Slot] = {}
        self.removed: dict[str, list[str]] = {}

    def index(self, name: str) -> int:
        return self.slots.index(self.place[name])

    def needed(self, gone: set[str], changed: dict[str, Value]) -> set[str]:
        """Find which of the names are variables of what stays in the file."""
        found: set[str] = set()
        names = [x.all_names for x in changed.values()]
        names += [
            x.names
            for x in self.slots
            if x.name is None or x.name not in gone | set(changed)
        ]
        while more := (gone & frozenset().union(*names)) - found:
            found |= more
            names += [self.place[x].names for x in more if x in self.place]
        return found

    def put_first(self, name: str) -> None:
        slot = self.place[name]
        self.slots.remove(slot)
        # The blank lines belong to what was first.
        above = [x for x in slot.above if x.strip()]
        slot.above = above
        if not self.slots[0].above:
            self.slots[0].above = ['']
        self.slots.insert(0, slot)

    def drop(self, name: str) -> None:
        slot = self.place[name]
        slot.was, slot.code = slot.code, ''

    def put(self, name: str, value: Value, origins: list[str]) -> None:
        code = f'{name} = {render(value, len(name) + 3)}'
        # What it refers to has to be set before it.
        needed = [self.place[x] for x in value.all_names if x in self.place]
        if name in self.place and self.place[name].code:
            slot = self.place[name]
            slot.was, slot.code = slot.code, code
            self._order(slot, needed)
        else:
            slot = self._room(name, origins)
            after = max([slot, *needed], key=self.slots.index)
            slot = after
            slot.added.append(code)
        self.new[name] = slot

    def _room(self, name: str, origins: list[str]) -> _Slot:
        """Find the place of a new statement: that of the first old one."""
        own = [self.place[x] for x in (name, *origins) if x in self.place]
        if own:
            return min(own, key=self.slots.index)
        if BASE in self.place:
            return self.place[BASE]
        if not self.slots:
            self.slots.append(_Slot([], ''))
        return self.slots[-1]

    def _order(self, slot: _Slot, needed: list[_Slot]) -> None:
        """Move up what a statement needs, and what that needs."""
        here = self.slots.index(slot)
        late = [x for x in needed if self.slots.index(x) > here]
        for other in sorted(late, key=self.slots.index):
            theirs = {self.place[x] for x in other.names if x in self.place}
            self._order(slot, [x for x in theirs if x not in (slot, other)])
            if self.slots.index(other) > self.slots.index(slot):
                self.slots.remove(other)
                self.slots.insert(self.slots.index(slot), other)

    def move_comments(self, name: str, heirs: list[str]) -> None:
        """Give what stood over a dropped statement to what replaces it."""
        slot = self.place.get(name)
        if slot is None:
            return
        if heirs:
            slot.heir = self.new[heirs[0]]
        if slot.added or slot.code:
            return
        comments = [x for x in slot.above if x.strip()]
        own = self._own_comments(slot) if slot.heir is None else []
        comments = comments[: len(comments) - len(own)]
        if own:
            self.removed.setdefault(name, []).extend(own)
        slot.above = []
        if comments:
            (slot.heir or self._next(slot)).above += comments

    def _own_comments(self, slot: _Slot) -> list[str]:
        """Return the comments that speak of one statement alone.

        Those right above it, unless another statement goes on below.
        """
        own: list[str] = []
        for line in reversed(slot.above):
            if not line.strip():
                break
            own.insert(0, line)
        index = self.slots.index(slot) + 1
        below = self.slots[index].above if index < len(self.slots) else ['']
        return own if below else []

    def _next(self, slot: _Slot) -> _Slot:
        index = self.slots.index(slot)
        later = [x for x in self.slots[index + 1 :] if x.code or x.added]
        return later[0] if later else slot

    def mark(self, name: str, reasons: list[str]) -> None:
        """Put comments over a statement, unless they are there."""
        slot = self.new.get(name) or self.touching.get(name)
        if slot is None:
            return
        for reason in reasons:
            lines = textwrap.wrap(
                f'{MARK}: {reason}',
                WIDTH,
                initial_indent='# ',
                subsequent_indent='#   ',
                break_long_words=False,
                break_on_hyphens=False,
            )
            there = [x.strip() for x in (*self.head, *slot.above)]
            if '\n'.join(lines) not in '\n'.join(there):
                slot.marks += lines

    def text(self) -> str:
        self._save_comments()
        lines = list(self.head)
        for slot in self.slots:
            lines += slot.lines()
        lines += self.foot
        newline = self.module.default_newline
        text = newline.join(lines)
        return text + newline if self.module.has_trailing_newline else text

    def _save_comments(self) -> None:
        """Put comments of what was replaced over what replaces it."""
        now = Counter(
            comment
            for slot in self.slots
            for comment in comments_of('\n'.join(slot.lines()) + '\n')
        )
        for slot in self.slots:
            now.subtract(comments_of('\n'.join(slot.above) + '\n'))
            if not slot.was:
                now.subtract(comments_of(slot.code + '\n'))
        for slot in self.slots:
            lost = []
            for comment in comments_of(slot.was + '\n') if slot.was else []:
                if now[comment] > 0:
                    now[comment] -= 1
                else:
                    lost.append(comment)
            if slot.code or slot.added:
                slot.above += lost
            elif slot.heir is not None or slot.name is None:
                (slot.heir or self._next(slot)).above += lost
            elif lost:
                self.removed.setdefault(slot.name, []).extend(lost)


def _slot(source: Source, index: int, lines: list[str]) -> _Slot:
    module, node = source.module, source.module.body[index]
    above = _raw(module, node.leading_lines)
    if isinstance(node, cst.SimpleStatementLine) and not _FEEDS & set(
        source.text
    ):
        rows = lines[source.lines[index] - 1 : source.ends[index]]
        code = '\n'.join(rows)
    else:
        bare = node.with_changes(leading_lines=[])
        code = module.code_for_node(bare).rstrip('\r\n')
    found = assignment(node)
    name = None if found is None else found[0]
    return _Slot(above, code, name, source.names[index])


_FEEDS = set('\r\f\v\x1c\x1d\x1e\x85\u2028\u2029')
"""What some take for the end of a line, and others do not."""


def _raw(module: cst.Module, lines: object) -> list[str]:
    assert isinstance(lines, (list, tuple))
    return [module.code_for_node(x).rstrip('\r\n') for x in lines]
