"""The command."""

import argparse
import json
import multiprocessing
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

from mmamp.precision.names import COMPARED

from .catalogue import PACKAGES, Entry, installed
from .judge import ERROR, WRONG, judge
from .pages import PAGES, write
from .records import Records
from .trial import Trial, warm_up


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='optimizers.py',
        description='Train with every optimizer that is installed, and tell '
        'what came of it',
    )
    parser.add_argument(
        '--packages',
        nargs='+',
        choices=PACKAGES,
        default=list(PACKAGES),
        help='default: all',
    )
    parser.add_argument(
        '--only',
        type=_pattern,
        default='',
        metavar='REGEX',
        help='classes whose path, such as torch.optim.AdamW, has a match',
    )
    parser.add_argument(
        '--dtypes',
        nargs='+',
        choices=COMPARED,
        default=list(COMPARED),
        help='default: all; the others are compared with float32',
    )
    parser.add_argument(
        '--results',
        type=Path,
        default=Path('work_dirs/optimizers.jsonl'),
        metavar='FILE',
        help='where it is kept what came of each; what is there is not '
        'tried again (default: %(default)s)',
    )
    parser.add_argument(
        '--resume',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='try only what is not kept (default), or all anew',
    )
    parser.add_argument(
        '--jobs', type=int, default=1, help='runs at a time (default: 1)'
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=60.0,
        help='that one run may take (default: 60)',
    )
    parser.add_argument(
        '--compile',
        action='store_true',
        help='let optimizers compile themselves, which takes half a minute '
        'and more for each (default: torch.compile does nothing)',
    )
    parser.add_argument(
        '--keep',
        type=Path,
        metavar='FOLDER',
        help='keep configs, logs and checkpoints there',
    )
    parser.add_argument(
        '--write',
        action='store_true',
        help=f'put the tables into {" and ".join(map(str, PAGES))}',
    )
    return parser


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f'{text!r}: {error}') from error


def parse_args(argv: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = build_parser()
    args = parser.parse_args(argv)
    missing = [str(page) for page in PAGES if not page.is_file()]
    if args.write and missing:
        parser.error(f'--write: there is no {missing[0]} in {Path.cwd()}')
    return args


def main(argv: list[str] | None = None) -> int:
    """Try what is asked for, and maybe write the tables.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, or 1 if an optimizer is wrong or ends in an error
        that is not clear.
    """
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)
    if not args.compile:
        torch.compiler.set_stance('force_eager')
    entries, missing = installed(args.packages)
    for package, reason in missing.items():
        print(f'{package}: {reason}', file=sys.stderr)
    entries = [x for x in entries if args.only.search(x.path)]
    records = Records(args.results)
    with tempfile.TemporaryDirectory(prefix='mmamp-optimizers-') as folder:
        _try(entries, records, args, args.keep or Path(folder))
    found = [
        row
        for x in entries
        for dtype in args.dtypes
        if (row := records.get((x.path, dtype), x.version))
    ]
    counts = Counter(row['verdict'] for row in found)
    print(', '.join(f'{num} {name}' for name, num in counts.items()))
    if args.write:
        for page in PAGES:
            write(page, found, ' '.join(['python tools/optimizers.py', *argv]))
            print(f'Written: {page}')
    return int(bool(counts[WRONG] + counts[ERROR]))


def _try(
    entries: list[Entry],
    records: Records,
    args: argparse.Namespace,
    folder: Path,
) -> None:
    """Try what is not known yet."""
    asked = {
        entry: [
            dtype
            for dtype in args.dtypes
            if not args.resume
            or records.get((entry.path, dtype), entry.version) is None
        ]
        for entry in entries
    }

    def tell(row: dict[str, Any]) -> None:
        records.add(row)
        print(
            f'{row["path"]} {row["dtype"]}: {row["verdict"]} '
            f'{row["reason"]}'.rstrip(),
            flush=True,
        )

    try_all(asked, args.jobs, args.seconds, folder, tell)


def try_all(
    asked: Mapping[Entry, list[str]],
    jobs: int,
    seconds: float,
    folder: Path,
    tell: Callable[[dict[str, Any]], None],
) -> None:
    """Try optimizers, several at a time.

    Args:
        asked (Mapping[Entry, list[str]]): The precisions of each.
        jobs (int): Runs at a time.
        seconds (float): That one run may take.
        folder (Path): Where runs go.
        tell (Callable): Called with each record, as soon as there is one.
    """
    if not any(asked.values()):
        return
    warm_up()
    context = multiprocessing.get_context('fork')
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        futures = [
            pool.submit(try_one, entry, dtypes, folder, seconds)
            for entry, dtypes in asked.items()
            if dtypes
        ]
        for future in as_completed(futures):
            for row in future.result():
                tell(row)


def try_one(
    entry: Entry, dtypes: list[str], folder: Path, seconds: float
) -> list[dict[str, Any]]:
    """Try an optimizer in some precisions.

    Args:
        entry (Entry): The optimizer.
        dtypes (list[str]): The precisions.
        folder (Path): Where runs go.
        seconds (float): That one run may take.

    Returns:
        list[dict]: The record of each precision.
    """
    reference = folder / entry.path / 'float32.json'
    rows = []
    # The others are compared with it.
    for dtype in sorted(dtypes, key=COMPARED.index):
        trial = Trial(entry, dtype, folder / entry.path / dtype, seconds)
        seen = trial(measured=dtype == COMPARED[0])
        if dtype == COMPARED[0]:
            reference.write_text(json.dumps(seen.whole))
        known = reference.is_file() and dtype != COMPARED[0]
        verdict = judge(
            seen, json.loads(reference.read_text()) if known else {}
        )
        rows.append(
            dict(
                package=entry.package,
                version=entry.version,
                path=entry.path,
                dtype=dtype,
                **verdict.row(),
            )
        )
        trial.remove_checkpoints()
    return rows
