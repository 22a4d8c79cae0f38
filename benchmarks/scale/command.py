"""The command."""

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import json_lines
from benchmarks.results.tables import put_between

from .models import LARGE, MODELS, PATIENCE

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / f'docs/{x}/distributed.md' for x in ('en', 'zh_cn')]
MARKS = ('<!-- begin: tools/scale.py -->', '<!-- end: tools/scale.py -->')
RANKS = 1, 8, 64, 512, 4096
STRATEGIES = {'DDP': RANKS, 'FSDP2': RANKS, 'FSDP2 in groups': RANKS[2:]}
"""How it is trained, and on how many ranks."""
HEAD = (
    'ranks',
    'collectives of an update',
    'MiB sent',
    'with the penalties',
    'MiB held',
    '`pth`: first rank writes, MiB',
    '`dcp`: each writes, MiB',
    '`dcp`: first rank plans, s',
)
MIB = 2**20
Key = tuple[str, str, int]
"""A model, a strategy and a number of ranks."""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='scale.py',
        description='Count what a rank sends, holds and saves where there are '
        'as many ranks; but one of them are not there',
    )
    parser.add_argument(
        '--models',
        nargs='+',
        choices=MODELS,
        default=list(MODELS),
        help='default: all',
    )
    parser.add_argument(
        '--results',
        type=Path,
        default=Path('work_dirs/scale.jsonl'),
        metavar='FILE',
        help='where it is kept; what is there is not counted again '
        '(default: %(default)s)',
    )
    parser.add_argument(
        '--write', action='store_true', help='put the tables into the docs'
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Count, tabulate and maybe write.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 1 if a trial failed.
    """
    args = build_parser().parse_args(argv)
    args.results.parent.mkdir(parents=True, exist_ok=True)
    found = _read(args.results)
    for key in _keys(args.models):
        if key in found:
            continue
        print(*key, flush=True)
        done = subprocess.run(
            [
                *(sys.executable, '-W', 'ignore', '-m'),
                *('benchmarks.scale.trial', *map(str, key)),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            print(done.stderr[-2000:], file=sys.stderr)
            return 1
        json_lines.add(args.results, json.loads(done.stdout.splitlines()[-1]))
    found = _read(args.results)
    text = tables({k: found[k] for k in _keys(args.models)})
    if args.write:
        for page in PAGES:
            put_between(page, *MARKS, text)
    else:
        print(text)
    return 0


def _keys(models: list[str]) -> Iterator[Key]:
    for name in models:
        for strategy, numbers in STRATEGIES.items():
            for ranks in numbers:
                yield name, strategy, ranks


def _read(path: Path) -> dict[Key, dict[str, Any]]:
    rows = json_lines.read(path) if path.exists() else []
    return {(x['name'], x['strategy'], x['ranks']): x for x in rows}


def tables(found: dict[Key, dict[str, Any]]) -> str:
    """Make a table of each model and strategy, in Markdown.

    Args:
        found (dict): What the trials said.
    """
    parts = []
    for name, strategy in dict.fromkeys(key[:2] for key in found):
        rows = [HEAD, ('---',) * len(HEAD)]
        rows += [
            _row(x) for k, x in found.items() if k[:2] == (name, strategy)
        ]
        lines = '\n'.join(f'| {" | ".join(row)} |' for row in rows)
        parts.append(f'**{name}, {strategy}**\n\n{lines}')
    return '\n\n'.join(parts)


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    calls = ', '.join(f'{n} {kind}' for kind, n in row['calls'].items())
    gathers = row['strategy'] != 'DDP' and row['ranks'] > 1
    return (
        f'{row["ranks"]:,}',
        calls or '0',
        _mib(row['sent']),
        _mib(row['with_penalties']['sent'])
        if row['name'] not in LARGE
        else '-',
        _mib(row['held']),
        _mib(row['whole']),
        _mib(row['part']) if gathers else _mib(row['whole']) + ' by the first',
        _seconds(row['planning']) if gathers else '-',
    )


def _seconds(time: float) -> str:
    return f'> {PATIENCE}' if time == math.inf else f'{time:.2f}'


def _mib(size: float) -> str:
    """Format mebibytes, in three digits where that is few."""
    mib = size / MIB
    if mib >= 999.5:
        return f'{mib:,.0f}'
    return f'{mib:.3g}' if mib >= 0.01 or not mib else '< 0.01'
