"""How long the migration of a tree takes, in times of LibCST's runner.

``python -m benchmarks.migration`` makes a tree of 500 configs with deep chains
of bases, and has turn by turn ``tools/migrate.py config`` go through it and
LibCST's ``parallel_exec_transform_with_prettyprint`` with a codemod that does
nothing, each in a process of its own with as many workers, from its start to
its end. The ratio of each pair counts; what else a machine does meets both.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .tree import make_tree

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    """Measure, and print a line for each number of processes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--files', type=int, default=500)
    parser.add_argument('--depth', type=int, default=5)
    parser.add_argument('--jobs', type=int, nargs='+', default=[1, 2])
    parser.add_argument('--pairs', type=int, default=7)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / 'configs'
        make_tree(tree, args.files, args.depth)
        for jobs in args.jobs:
            ratios = [_ratio(tree, jobs) for _ in range(args.pairs)]
            median = statistics.median(ratios)
            print(
                f'{args.files} configs, {jobs} processes: {median:.2f} times '
                f"LibCST's runner, {min(ratios):.2f} to {max(ratios):.2f} in "
                f'{args.pairs} pairs',
                flush=True,
            )
    return 0


def _ratio(tree: Path, jobs: int) -> float:
    tool = ROOT / 'tools/migrate.py'
    ours = _seconds(str(tool), 'config', str(tree), '-j', str(jobs))
    runner = ROOT / 'benchmarks/migration/runner.py'
    return ours / _seconds(str(runner), str(tree), str(jobs))


def _seconds(*args: str) -> float:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *args], capture_output=True, text=True
    )
    taken = time.perf_counter() - start
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr)
    return taken


if __name__ == '__main__':
    sys.exit(main())
