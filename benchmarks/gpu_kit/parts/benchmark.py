"""Time and memory: by hand, stock, with peers and with mmamp, in turns."""

import tempfile
from pathlib import Path

import torch

from benchmarks.speed.comparisons import comparisons, variants_of
from benchmarks.speed.measure import measure
from benchmarks.speed.models import LARGE, MODELS_BY_NAME
from benchmarks.speed.peers import installed
from benchmarks.speed.records import Records, Setting
from benchmarks.speed.report import Rows, ratio_rows, variant_rows

from . import Add

ROUNDS = 5
DTYPES = ('bfloat16', 'float16', 'float32')


def find(add: Add) -> None:
    """Measure one model after the other, in one precision after the other."""
    is_fast = torch.cuda.is_available()
    models = list(LARGE) if is_fast else ['tiny']
    for dtype in DTYPES if is_fast else DTYPES[-1:]:
        for name in models:
            model = MODELS_BY_NAME[name]
            asked = comparisons(name, [dtype], list(installed()))
            setting = Setting(
                tuple(variants_of(asked)),
                ROUNDS if is_fast else 1,
                model.iterations,
            )
            with tempfile.TemporaryDirectory() as folder:
                records = Records(Path(folder) / 'measured.jsonl', {})
                found = measure(setting, 1, records, Path(folder))
            title = f'{model.title}, {dtype}'
            _add(add, title, ratio_rows(asked, found))
            _add(add, f'{title}: each of them', variant_rows(found))


def _add(add: Add, title: str, rows: Rows) -> None:
    head, *rest = rows
    for row in rest:
        add(title, **dict(zip(head, row, strict=True)))
