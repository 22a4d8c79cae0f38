"""The command."""

import argparse
import importlib
import math
import os
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from .pack import (
    LIMIT,
    WHEELS,
    PackError,
    checkout,
    download,
    install,
    num_bytes,
)
from .records import NAME, Records
from .schedule import PARTS, limits, run
from .tables import NO_GPU, device_of, tables

RESULTS = 'gpu_kit'
"""The folder of results, in ``$OUT`` or ``work_dirs``."""
TABLES, LOG = 'tables.md', 'log.txt'
RESERVE = 5.0
"""Seconds of the time that no part gets."""
PAGES = [Path(f'docs/{x}/gpu.md') for x in ('en', 'zh_cn')]
MARKS = (
    '<!-- begin: tools/dev/gpu_kit.sh -->',
    '<!-- end: tools/dev/gpu_kit.sh -->',
)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='gpu_kit.sh',
        description='What a machine with a GPU shows, in one command',
    )
    commands = parser.add_subparsers(dest='command', required=True)
    commands.add_parser(
        'pack', help=f'here: put what is missing there into {WHEELS}/'
    )
    running = commands.add_parser(
        'run', help='there, without a network: go through all parts'
    )
    running.add_argument(
        'minutes',
        nargs='?',
        type=_minutes,
        default=9.0,
        metavar='MINUTES',
        help='that all of it may take (default: 9)',
    )
    writing = commands.add_parser(
        'write', help=f'here: put the tables into {PAGES[0]} and {PAGES[1]}'
    )
    writing.add_argument(
        'folder',
        nargs='?',
        type=Path,
        default=Path('work_dirs', RESULTS),
        metavar='DIR',
        help='what `run` has left (default: %(default)s)',
    )
    part = commands.add_parser('part', help='what `run` starts for each part')
    part.add_argument('name', choices=[x.name for x in PARTS])
    part.add_argument('folder', type=Path)
    return parser


def _minutes(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f'{text!r} is no number above 0')
    return value


def main(argv: list[str] | None = None) -> int:
    """Pack, run or write.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0; 1 if there is too much to pack, a part failed, or
        there is nothing to write; 130 after Ctrl-C.
    """
    args = build_parser().parse_args(argv)
    try:
        if args.command == 'pack':
            return _pack()
        if args.command == 'run':
            return _run(args.minutes)
        if args.command == 'write':
            return _write(args.folder)
    except (PackError, OSError) as error:
        print(f'gpu_kit.sh: error: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    module = importlib.import_module(f'{__package__}.parts.{args.name}')
    module.find(partial(Records(args.folder).add, args.name))
    return 0


def _pack() -> int:
    download()
    wheels = num_bytes(WHEELS.iterdir())
    own = num_bytes(checkout())
    mebi = 2**20
    print(
        f'{len(list(WHEELS.iterdir()))} wheels in {WHEELS}/: '
        f'{wheels / mebi:.1f} MiB; the checkout: {own / mebi:.1f} MiB; '
        f'together {(wheels + own) / mebi:.1f} of {LIMIT / mebi:.0f} MiB'
    )
    if wheels + own > LIMIT:
        raise PackError('that is too much')
    return 0


def _run(minutes: float) -> int:
    # The part that runs shall end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    end = time.monotonic() + minutes * 60 - RESERVE
    folder = Path(os.environ.get('OUT', 'work_dirs'), RESULTS).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    for name in (NAME, TABLES, LOG):
        (folder / name).unlink(missing_ok=True)  # of an earlier run
    records = Records(folder)
    with tempfile.TemporaryDirectory(prefix='gpu-kit-') as packages:
        install(Path(packages))
        path = [str(Path.cwd()), packages, os.environ.get('PYTHONPATH')]
        os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, path))
        # Else importing MMEngine would set CUDA up, and no fork could use it.
        os.environ['PYTORCH_NVML_BASED_CUDA_CHECK'] = '1'
        for part, seconds in limits(PARTS, end, time.monotonic):
            print(f'{part.title}: {seconds:.0f} s at most', flush=True)
            began = time.monotonic()
            command = [sys.executable, '-m', __package__ or '', 'part']
            result = run(
                [*command, part.name, str(folder)], seconds, folder / LOG
            )
            records.end(part.name, result, time.monotonic() - began)
            print(f'    {result}', flush=True)
            (folder / TABLES).write_text(tables(records) + '\n')
    print(f'Written: {folder}')
    return int(any('failed' in x.get('result', '') for x in records))


def _write(folder: Path) -> int:
    # Of the environment for development, which `run` does without.
    from benchmarks.results.tables import put_between

    lines = list(Records(folder))
    if device_of(lines) == NO_GPU:
        raise PackError(f'{folder} is of a machine without a GPU')
    for page in PAGES:
        put_between(page, *MARKS, tables(lines))
        print(f'Written: {page}')
    return 0
