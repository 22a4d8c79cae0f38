"""Which file of a folder says what two bases of a config would both say.

MMEngine refuses a key that two bases of a config set. Where 0.x had several
names for what is one key now, as ``log_config`` and ``checkpoint_config`` for
``default_hooks``, bases that did well beside each other clash. One of them
gives the key up: to the other, if whoever inherits that inherits both, or else
to the files that inherit it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple


@dataclass
class Part:
    """A file as the layout sees it.

    Args:
        bases (list[Path]): Resolved, in order.
        old (frozenset[str]): The keys that it gives as it is, with its bases.
        new (frozenset[str]): Those that it is to give.
        is_whole (bool): Whether it is a config by itself, that trains.
        is_written (bool): Whether the tool writes it.
        given_up (set[str]): Keys that it says no more.
        taken (dict[str, list[Path]]): Files of which it says what they have
            given up, by key.
    """

    bases: list[Path]
    old: frozenset[str]
    new: frozenset[str]
    is_whole: bool = False
    is_written: bool = True
    given_up: set[str] = field(default_factory=set)
    taken: dict[str, list[Path]] = field(default_factory=dict)

    def says(self, key: str) -> bool:
        """Tell whether the file, with its bases, will give a key."""
        return key in self.new and key not in self.given_up


class Clash(NamedTuple):
    """Two bases of a file that give the same key.

    Args:
        path (Path): Of the file.
        key (str): What both give.
        one (Path): Of the first base.
        other (Path): Of the second.
        is_new (bool): Whether the two did not clash in 0.x.
    """

    path: Path
    key: str
    one: Path
    other: Path
    is_new: bool


class Layout:
    """Who says what in the files of a run.

    Args:
        parts (Mapping[Path, Part]): The files, and the bases of each.
    """

    def __init__(self, parts: Mapping[Path, Part]) -> None:
        # In an order that does not depend on who has read them.
        self.parts = dict(sorted(parts.items()))

    @cached_property
    def families(self) -> dict[Path, set[Path]]:
        """dict[Path, set[Path]]: Each file, and all that it inherits."""
        return {path: self._family(path) for path in self.parts}

    def part_for(self, paths: Iterable[Path]) -> Layout:
        """Return what of it concerns some of the files.

        Args:
            paths (Iterable[Path]): Of the files.
        """
        found: set[Path] = set()
        for path in paths:
            found |= self.families.get(path.resolve(), set())
        for path in list(found):
            for places in self.parts[path].taken.values():
                for place in places:
                    found |= self.families[place]
        return Layout({x: self.parts[x] for x in found})

    def _family(self, path: Path) -> set[Path]:
        """Return a file and all that it inherits."""
        found: set[Path] = set()
        left = [path]
        while left:
            path = left.pop()
            if path not in found and path in self.parts:
                found.add(path)
                left += self.parts[path].bases
        return found

    def clashes(self, path: Path) -> Iterator[Clash]:
        """Yield what the bases of a file both give."""
        bases = [x for x in self.parts[path].bases if x in self.parts]
        for i, other in enumerate(bases):
            for one in bases[:i]:
                yield from self._between(path, one, other)

    def _between(self, path: Path, one: Path, other: Path) -> Iterator[Clash]:
        first, second = self.parts[one], self.parts[other]
        for key in sorted(first.new & second.new):
            if first.says(key) and second.says(key):
                is_new = not (key in first.old and key in second.old)
                yield Clash(path, key, one, other, is_new)

    def settle(self) -> None:
        """Have keys given up until no bases clash that did not in 0.x.

        What cannot be settled is left to clash.
        """
        while clashes := [x for p in self.parts for x in self._to_settle(p)]:
            key = clashes[0].key
            mine = [x for x in clashes if x.key == key]
            counts = Counter(x for clash in mine for x in clash[2:4])
            able = {x: n for x, n in counts.items() if self._may_not(x, key)}
            # The base of most clashes; of equals the one that comes first.
            path = max(able, key=lambda x: able[x])
            self._give_up(path, key, mine)

    def _to_settle(self, path: Path) -> Iterator[Clash]:
        for clash in self.clashes(path):
            if clash.is_new and any(
                self._may_not(x, clash.key) for x in clash[2:4]
            ):
                yield clash

    def _may_not(self, path: Path, key: str) -> bool:
        """Tell whether a base can do without a key: it trains nothing."""
        return all(
            self.parts[x].is_written and not self.parts[x].is_whole
            for x in self._with_key(path, key)
        )

    def _with_key(self, path: Path, key: str) -> list[Path]:
        return [x for x in self.families[path] if self.parts[x].says(key)]

    def _give_up(self, path: Path, key: str, clashes: Iterable[Clash]) -> None:
        for member in self._with_key(path, key):
            self.parts[member].given_up.add(key)
        for clash in clashes:
            if path not in clash[2:4]:
                continue
            other = clash.one if path == clash.other else clash.other
            if self._is_with(other, path):
                taken = self.parts[other].taken.setdefault(key, [])
                if path not in taken:
                    taken.append(path)

    def _is_with(self, one: Path, other: Path) -> bool:
        """Tell whether whoever inherits the one inherits the other too."""
        if not self.parts[one].is_written or self.parts[one].is_whole:
            return False
        return all(
            other in family
            for path, family in self.families.items()
            if one in family and path != one
        )
