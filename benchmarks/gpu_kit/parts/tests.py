"""The tests that need a GPU, counted file by file."""

import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from . import Add

MARKED = re.compile(r'\bmark\.gpu\b|^from devices import', re.MULTILINE)
"""What files have whose tests are marked."""
LINES = 3
"""Of what a test says that fails, the last ones."""


def find(add: Add) -> None:
    """Run them."""
    counts = Counts(add)
    # Importing all others takes a minute.
    files = [
        str(path)
        for path in sorted(Path('tests').rglob('test_*.py'))
        if MARKED.search(path.read_text(encoding='utf-8'))
    ]
    pytest.main(['-m', 'gpu', '--verbose', *files], plugins=[counts])
    counts.end_file()


class Counts:
    """A plugin of pytest's that adds a row when a file is done.

    Args:
        add (Callable): Adds it; at once where a test fails.
    """

    def __init__(self, add: Add) -> None:
        self._add = add
        self._file = ''
        self._counts: Counter[str] = Counter()
        self._reason = ''
        self._began = time.monotonic()

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count what came of a test: of its call, or of what is before."""
        file, _, name = report.nodeid.partition('::')
        if file != self._file:
            self.end_file()
            self._file = file
        if report.when == 'call' or report.outcome != 'passed':
            self._counts[report.outcome] += 1
        if report.failed:
            said = report.longreprtext.strip().splitlines()[-LINES:]
            self._add('Failed', test=f'{file}::{name}', said=' / '.join(said))
        if report.skipped and isinstance(report.longrepr, tuple):
            self._reason = report.longrepr[2].removeprefix('Skipped: ')

    def pytest_collectreport(self, report: Any) -> None:
        """Tell of a file that cannot be imported."""
        if report.failed:
            said = report.longreprtext.strip().splitlines()[-LINES:]
            self._add('Failed', test=report.nodeid, said=' / '.join(said))

    def end_file(self) -> None:
        """Add the row of the file that is done."""
        now = time.monotonic()
        if self._file:
            self._add(
                'By file',
                file=self._file,
                passed=self._counts['passed'],
                failed=self._counts['failed'],
                skipped=self._counts['skipped'],
                why=self._reason,
                s=now - self._began,
            )
        self._counts.clear()
        self._file = self._reason = ''
        self._began = now
