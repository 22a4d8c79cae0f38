"""What is predicted, beside what torch's profiler measures."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.plan.command import FAMILIES
from benchmarks.plan.measure import Case

ROOT = Path(__file__).parents[2]


def compared(case):
    """In a process of its own: the profiler counts from its beginning."""
    done = subprocess.run(
        [
            *(sys.executable, '-W', 'ignore', '-m', 'benchmarks.plan.measure'),
            json.dumps(asdict(case)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return found['predicted'], found['measured']


def check(case, share):
    predicted, measured = compared(case)
    assert predicted['peak'] == pytest.approx(measured['peak'], rel=share)
    for key in ('calls', 'sizes'):
        assert predicted[key] == measured[key]


def test_one_process():
    # A CPU without the instructions takes rounded copies besides.
    check(Case(FAMILIES['DCGAN'], 'bfloat16'), 0.05)


# ``python -m benchmarks.plan`` goes through all families and numbers of ranks.


@pytest.mark.slow
def test_an_average_and_accumulation():
    check(Case(FAMILIES['LSGAN'], 'bfloat16', counts=8), 0.05)


@pytest.mark.slow
@pytest.mark.ranks
def test_ranks():
    case = Case(FAMILIES['DCGAN'], 'float32', strategy='ddp', ranks=2)
    check(case, 0.1)
