"""What was found, in a file as soon as it is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import json_lines

NAME = 'results.jsonl'
"""In the folder of results; a line is a row of a table, or a part's end."""


class Records:
    """Lines of JSON, for the parts to add to one after the other.

    Args:
        folder (Path): Of the results.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def add(self, part: str, table: str, **cells: Any) -> None:
        """Add a row of a table.

        Args:
            part (str): Which part has found it.
            table (str): The title of the table.
            **cells (Any): By column: text, numbers, or None for an empty one.
        """
        json_lines.add(self._path, dict(part=part, table=table, cells=cells))

    def end(self, part: str, result: str, seconds: float) -> None:
        """Add what became of a part.

        Args:
            part (str): Which.
            result (str): In words.
            seconds (float): That it took.
        """
        json_lines.add(
            self._path,
            dict(part=part, result=result, seconds=round(seconds, 1)),
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from json_lines.read(self._path)
