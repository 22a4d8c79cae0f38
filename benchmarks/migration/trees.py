"""How many configs of whole trees the migration gets right.

``python -m benchmarks.migration.trees FOLDER [FOLDER ...]`` has
``tools/migrate.py config --verify --json`` go through other people's trees,
which stay as they are, and prints a line for each: how many of the configs
that no other inherits by a folder ``_base_``

- are right: every setting that ``--verify`` reads is the same, and nothing is
  marked in the config or its bases;
- are right but for a part that is marked;
- are left, or differ, where something is marked;
- no longer load;
- are wrong: other settings than before, and no mark;
- are not compared: their optimizers are of a project that is not installed,
  or they did not load before.

``--names`` prints the configs of all kinds but the first, and why.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from mmamp.migration.config import with_bases

ROOT = Path(__file__).resolve().parents[2]
RIGHT, NOT_COMPARED = 'right', 'not compared'
KINDS = (
    *(RIGHT, 'partly marked', 'left marked', 'no longer loads', 'wrong'),
    NOT_COMPARED,
)
PROBLEMS = {
    'the config does not load': NOT_COMPARED,
    'the result does not load': 'no longer loads',
    'the optimizers do not build': NOT_COMPARED,
}
"""What ``--verify`` begins with where it cannot compare."""


def main() -> int:
    """Count, and print a line for each folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folders', nargs='+', type=Path, metavar='FOLDER')
    parser.add_argument('--target', help='what the trees are to be for')
    parser.add_argument('--names', action='store_true')
    args = parser.parse_args()
    for folder in args.folders:
        found = count(folder, ['--target', args.target] if args.target else [])
        numbers = Counter(kind for kind, _ in found.values())
        parts = ', '.join(f'{numbers[kind]} {kind}' for kind in KINDS)
        print(f'{folder}: {len(found)} configs: {parts}', flush=True)
        for path, (kind, why) in found.items():
            if args.names and kind != RIGHT:
                print(f'  {kind}: {path}: {why}')
    return 0


def count(folder: Path, options: list[str]) -> dict[str, tuple[str, str]]:
    """Return what became of each config, and why."""
    tool = ROOT / 'tools/migrate.py'
    command = [sys.executable, str(tool), 'config', str(folder)]
    done = subprocess.run(
        [*command, '--verify', '--json', *options],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise RuntimeError(done.stderr)
    results = {Path(x['path']).resolve(): x for x in json.loads(done.stdout)}
    return {
        result['path']: _kind(path, results)
        for path, result in results.items()
        if '_base_' not in path.parts and result['verification']
    }


def _kind(path: Path, results: dict[Path, Any]) -> tuple[str, str]:
    found = results[path]['verification']
    marks = [
        finding['reason']
        for x in with_bases(path)
        if x in results
        for finding in results[x]['findings']
        if finding['outcome'] == 'to do'
    ]
    if found['is_good']:
        return ('partly marked' if marks else RIGHT), '; '.join(marks)
    for problem, kind in PROBLEMS.items():
        if found['problem'].startswith(problem):
            return kind, found['problem']
    rows = [
        f'{x["network"]} {x["setting"]}: {x["before"]} -> {x["after"]}'
        for x in found['rows']
        if x['differs']
    ]
    kind = 'left marked' if marks else 'wrong'
    return kind, '; '.join([*marks, found['problem'], *rows])


if __name__ == '__main__':
    sys.exit(main())
