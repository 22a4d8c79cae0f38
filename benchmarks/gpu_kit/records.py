"""What was found, in a file as soon as it is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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
        self._write(dict(part=part, table=table, cells=cells))

    def end(self, part: str, result: str, seconds: float) -> None:
        """Add what became of a part.

        Args:
            part (str): Which.
            result (str): In words.
            seconds (float): That it took.
        """
        self._write(dict(part=part, result=result, seconds=round(seconds, 1)))

    def _write(self, line: dict[str, Any]) -> None:
        with open(self._path, 'a') as file:
            file.write(json.dumps(line) + '\n')

    def __iter__(self) -> Iterator[dict[str, Any]]:
        lines = self._path.read_text().splitlines()
        for number, line in enumerate(lines, 1):
            try:
                yield json.loads(line)
            except ValueError:
                # Of a part that was killed while it wrote.
                if number < len(lines):
                    raise
