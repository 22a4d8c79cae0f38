"""What was measured, kept in a file so that a run that was cut off goes on."""

import datetime
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks import json_lines

from .variants import Variant


@dataclass(frozen=True)
class Setting:
    """What is measured in turns.

    Args:
        variants (tuple[Variant]): What is compared.
        rounds (int): How often each process has its turn.
        iterations (int): In a turn.
        threads (int, optional): On a CPU. Defaults to None: torch's default.
    """

    variants: tuple[Variant, ...]
    rounds: int
    iterations: int
    threads: int | None = None


@dataclass(frozen=True)
class Seen:
    """What was seen of one process.

    Args:
        seconds (tuple[float]): Of an iteration, in each round.
        before (int): Peak in bytes before the first iteration; 0 where it is
            not known.
        peak (int): Peak in bytes; 0 where it is not known.
    """

    seconds: tuple[float, ...]
    before: int = 0
    peak: int = 0


Piece = Mapping[Variant, Seen]
"""What was seen of the processes that took turns, once."""


class Records:
    """Lines of JSON, one a piece.

    Args:
        path (Path): Of the file.
        origin (Mapping[str, str]): The device and the versions; pieces of
            others are not found.

    Attributes:
        dates (set[str]): When the pieces were measured that were found or
            added.
    """

    def __init__(self, path: Path, origin: Mapping[str, str]) -> None:
        self._path, self._origin = path, dict(origin)
        self.dates: set[str] = set()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._rows = json_lines.read(path) if path.is_file() else []

    def add(self, setting: Setting, piece: Piece) -> None:
        """Keep a piece, in the file too.

        Args:
            setting (Setting): What it is of.
            piece (Mapping[Variant, Seen]): What was seen.
        """
        row = dict(
            date=datetime.date.today().isoformat(),
            **self._key(setting),
            variants=[
                dict(**asdict(variant), **asdict(seen))
                for variant, seen in piece.items()
            ],
        )
        self._rows.append(row)
        self.dates.add(row['date'])
        json_lines.add(self._path, row)

    def find(self, setting: Setting, num: int) -> list[Piece]:
        """Return pieces of a setting, the oldest ones.

        A piece that has other variants too is one of them.

        Args:
            setting (Setting): What they are of.
            num (int): How many at most.
        """
        rows = [row for row in self._rows if self._is_of(row, setting)][:num]
        self.dates.update(row['date'] for row in rows)
        return [
            {v: seen[v] for v in setting.variants} for seen in map(_read, rows)
        ]

    def forget(self, setting: Setting) -> None:
        """Drop the pieces of a setting, from the file too.

        Args:
            setting (Setting): What they are of.
        """
        self._rows = [x for x in self._rows if not self._is_of(x, setting)]
        whole = ''.join(f'{json.dumps(row)}\n' for row in self._rows)
        new = self._path.with_suffix('.new')
        new.write_text(whole)
        new.replace(self._path)

    def _key(self, setting: Setting) -> dict[str, Any]:
        return dict(
            origin=self._origin,
            rounds=setting.rounds,
            iterations=setting.iterations,
            threads=setting.threads,
        )

    def _is_of(self, row: dict[str, Any], setting: Setting) -> bool:
        key = self._key(setting)
        return {k: row[k] for k in key} == key and _read(row).keys() >= set(
            setting.variants
        )


def _read(row: dict[str, Any]) -> dict[Variant, Seen]:
    """Return the piece of a line."""
    return {
        Variant(**{x.name: of[x.name] for x in fields(Variant)}): Seen(
            tuple(of['seconds']), of['before'], of['peak']
        )
        for of in row['variants']
    }
