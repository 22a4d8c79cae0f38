"""Optimizers, those that only a GPU has among them."""

import os
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.optimizers.catalogue import PACKAGES, installed
from benchmarks.optimizers.command import try_all
from mmamp.precision.names import COMPARED

from . import Add

FIRST = (
    *('apex', 'transformer-engine', 'bitsandbytes', 'torch', 'schedulefree'),
    *('prodigyopt', 'lion-pytorch', 'came-pytorch'),
)
"""Packages that are tried before the others: some of a GPU alone."""
SECONDS = 40.0
"""That one run of an optimizer may take."""


def find(add: Add) -> None:
    """Try what is installed, as ``tools/optimizers.py`` does."""
    entries, missing = installed(list(dict.fromkeys([*FIRST, *PACKAGES])))
    for package, reason in missing.items():
        add('Not tried', package=package, why=reason)

    def tell(row: dict[str, Any]) -> None:
        add(
            'Tried',
            optimizer=f'`{row["path"]}`',
            dtype=row['dtype'],
            verdict=row['verdict'],
            why=row['reason'],
        )

    asked = {entry: list(COMPARED) for entry in entries}
    jobs = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        try_all(asked, jobs, SECONDS, Path(folder), tell)
