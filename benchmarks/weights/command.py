"""The command: compare, write the table, write what tests read."""

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger

from benchmarks import json_lines

from .cases import COMMITS, Case, all_cases
from .compare import Row, compare
from .figures import FOLDER, write_figures
from .originals import importable
from .tables import PAGES, write

EXACT = {'float32': (1e-4, 5e-3), 'float64': (1e-6, 1e-5)}
"""What outputs and gradients may differ by, relatively.

Gradients jump where the input of a ReLU is 0 up to rounding.
"""
BOUNDS = {'float16': (0.999, 0.01), 'bfloat16': (0.99, 0.05)}
"""Cosine, and deviation of the norm, of gradients to those in float32."""


def main(argv: Sequence[str] | None = None) -> int:
    """Compare converted weights with the networks that they are of.

    Args:
        argv (Sequence[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: 1 if a network differs by more than it may, else 0.
    """
    args = _parser().parse_args(argv)
    # Their imports say much.
    warnings.simplefilter('ignore')
    MMLogger.get_current_instance().setLevel(logging.ERROR)
    folder = Path(args.folder)
    missing = [name for name in COMMITS if not (folder / name).is_dir()]
    if missing:
        print(
            f'{args.folder!r} has no clone of {", ".join(missing)}',
            file=sys.stderr,
        )
        return 2
    cases = [
        case
        for case in all_cases()
        if args.sizes == 'all'
        or (
            case.is_large == (args.sizes == 'published')
            and any(x in f'{case.format} {case.repository}' for x in args.only)
        )
    ]
    results, wrong = Path(args.out), 0
    with importable(folder):
        if args.figures:
            write_figures(cases, FOLDER)
            return 0
        for case in cases:
            wrong += _compare(case, results)
    if args.write:
        for page in PAGES:
            write(page, json_lines.read(results))
    return min(wrong, 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.weights', description=main.__doc__
    )
    parser.add_argument('folder', help='with clones of the repositories')
    parser.add_argument(
        '--only',
        nargs='+',
        default=[''],
        metavar='TEXT',
        help='compare what has it in the name of its format or repository',
    )
    parser.add_argument(
        '--sizes',
        choices=['all', 'small', 'published'],
        default='all',
        help='what is compared; published ones take an hour (default: all)',
    )
    parser.add_argument(
        '--out',
        default='work_dirs/weights.jsonl',
        help='a file that results are added to (default: %(default)s)',
    )
    parser.add_argument(
        '--write', action='store_true', help='put them into the pages'
    )
    parser.add_argument(
        '--figures',
        action='store_true',
        help='instead write what tests read: names, shapes and a few figures',
    )
    return parser


def _compare(case: Case, results: Path) -> int:
    """Compare a case; return how many figures are out of their bounds."""
    results.parent.mkdir(parents=True, exist_ok=True)
    wrong = 0
    with redirect_stdout(sys.stderr):
        rows = list(compare(case))
    for name, row in rows:
        said = '' if is_right(row) else '  OUT OF BOUNDS'
        wrong += bool(said)
        print(
            f'{case.repository}: {case.name}, {name}, {row.dtype}: output '
            f'{row.output:.1e}, gradient {row.gradient:.1e}, to float32 '
            f'{row.ours:.1e} (theirs {row.theirs:.1e}), cosine '
            f'{row.cosine:.5f}, ratio {row.ratio:.4f}{said}',
            flush=True,
        )
        json_lines.add(results, _record(case, name, row))
    return wrong


def _record(case: Case, network: str, row: Row) -> dict[str, Any]:
    return dict(
        repository=case.repository,
        commit=COMMITS[case.repository],
        case=case.name,
        format=case.format,
        network=network,
        **asdict(row),
    )


def is_right(row: Row) -> bool:
    """Tell whether figures are within bounds.

    Those of a low precision are, too, where ours is as near to float32 as
    theirs.

    Args:
        row (Row): The figures.
    """
    if row.dtype in EXACT:
        output, gradient = EXACT[row.dtype]
        return row.output <= output and row.gradient <= gradient
    cosine, deviation = BOUNDS[row.dtype]
    within = row.cosine >= cosine and abs(row.ratio - 1) <= deviation
    return within or row.ours <= 1.5 * row.theirs
