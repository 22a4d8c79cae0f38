"""A file of JSON, a line as soon as it is known."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read(path: Path) -> list[dict[str, Any]]:
    """Return what the lines of a file hold.

    Args:
        path (Path): Of the file. A last line whose writing was cut off, and
            so has no end, is taken away from it: the next one would go on in
            it.

    Raises:
        FileNotFoundError: If there is none.
    """
    text = path.read_text()
    whole = text[: text.rfind('\n') + 1]
    if whole != text:
        path.write_text(whole)
    return [json.loads(line) for line in whole.splitlines()]


def add(path: Path, row: Mapping[str, Any]) -> None:
    """Add a line.

    Args:
        path (Path): Of the file, made if it does not exist.
        row (Mapping): What it holds.
    """
    with open(path, 'a') as file:
        file.write(f'{json.dumps(row)}\n')
