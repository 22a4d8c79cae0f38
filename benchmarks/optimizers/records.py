"""What was tried, kept in a file so that a run that was cut off goes on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import json_lines

Key = tuple[str, str]
"""The path of an optimizer's class, and a precision."""


class Records:
    """Lines of JSON, one for an optimizer in a precision, the last one valid.

    Args:
        path (Path): Of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._found: dict[Key, dict[str, Any]] = {}
        for row in json_lines.read(path) if path.is_file() else []:
            self._put(row)

    def _put(self, row: dict[str, Any]) -> None:
        self._found[row['path'], row['dtype']] = row

    def add(self, row: Mapping[str, Any]) -> None:
        """Keep one, in the file too.

        Args:
            row (Mapping): With the keys ``path`` and ``dtype``.
        """
        self._put(dict(row))
        json_lines.add(self._path, row)

    def get(self, key: Key, version: str) -> dict[str, Any] | None:
        """Return what is known of a version of a package; None if nothing.

        Args:
            key (tuple[str, str]): Of which.
            version (str): Of the package.
        """
        found = self._found.get(key)
        return found if found and found['version'] == version else None

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._found.values())
