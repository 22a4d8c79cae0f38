"""What ``tools/plan.py`` predicts of memory, beside what is allocated."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from typing import Any

import torch

from benchmarks.plan.command import FAMILIES, PENALISED
from benchmarks.plan.measure import Case

from . import Add

DTYPES = ('float32', 'bfloat16')
ON_CPU = ('DCGAN',)
"""What is gone through where there is no GPU, on the CPU."""


def find(add: Add) -> None:
    """Compare, family by family."""
    has_gpu = torch.cuda.is_available()
    for name in FAMILIES if has_gpu else ON_CPU:
        for dtype in DTYPES:
            case = Case(FAMILIES[name], dtype, due=name in PENALISED)
            predicted = _asked(case, 'predict-cuda', hidden=True)
            how = 'measure-cuda' if has_gpu else 'measure'
            measured = _asked(case, how)
            add(
                '',
                family=name,
                dtype=dtype,
                predicted=predicted,
                measured=measured if has_gpu else 'no GPU',
                ratio=predicted / measured if has_gpu else None,
            )


def _asked(case: Case, how: str, hidden: bool = False) -> int:
    """Ask a process of its own for a peak, in bytes."""
    done = subprocess.run(
        [
            *(sys.executable, '-W', 'ignore', '-m', 'benchmarks.plan.measure'),
            *(json.dumps(asdict(case)), how),
        ],
        env={**os.environ, **({'CUDA_VISIBLE_DEVICES': ''} if hidden else {})},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return int(found[how]['peak'])
