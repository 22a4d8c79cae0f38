"""The command."""

import argparse
import json
import logging
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from mmengine.logging import MMLogger
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from mmamp.errors import USAGE, UsageError
from mmamp.launcher.arguments import Options
from mmamp.launcher.edits import REPORT, read_config
from mmamp.launcher.mistakes import exit_code
from mmamp.precision.names import COMPARED
from mmamp.utils.consoles import new_console

from .analysis import Analysis
from .fragment import FRAGMENT, write_fragment
from .from_log import report_from_log
from .page import write_page
from .trial_config import in_dtype
from .trials import Trials

COMMAND = 'amp_report'
FEWEST = 10
"""Iterations of a trial: fewer give a loss scale no time to settle."""


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=COMMAND,
        description='Should mixed precision be turned on? Trains a config '
        'for some iterations in each dtype, and writes report.html, '
        'report.json and, where a dtype needs them, amp_rules.py',
    )
    parser.add_argument('config', nargs='?', help='path of the config file')
    parser.add_argument(
        '--iters',
        type=int,
        default=50,
        metavar='N',
        help=f'iterations of each trial, {FEWEST} at least (default: 50)',
    )
    parser.add_argument(
        '--dtypes',
        nargs='+',
        choices=COMPARED,
        default=list(COMPARED),
        help='what is tried; float32 always is (default: all three)',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='DIR',
        help='default: work_dirs/amp_report/CONFIG_NAME',
    )
    parser.add_argument(
        '--from-log',
        type=Path,
        metavar='WORK_DIR',
        help='draw the losses, scales and skipped steps of a run that has '
        'been, in place of trying a config',
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Options,
        metavar='KEY=VALUE',
        help='replace settings of the config',
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Try a config, or read a log, and write the report.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 2 for a mistake of the user's or a config that does
        not run in float32, 130 after Ctrl-C.
    """
    parser = build_parser()
    args = parser.parse_args(argv)
    try:
        if (args.config is None) == (args.from_log is None):
            raise UsageError('give either CONFIG or --from-log WORK_DIR')
        if args.iters < FEWEST:
            raise UsageError(
                f'--iters must be {FEWEST} or more, but got {args.iters}'
            )
        if args.from_log is not None:
            out = args.out or args.from_log
            _write(out, report_from_log(args.from_log))
        else:
            # The trial that runs shall end with it.
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
            return _try_config(args)
    except BaseException as error:
        return exit_code(error, COMMAND, has_log=False)
    return 0


def _try_config(args: argparse.Namespace) -> int:
    cfg = read_config(args, REPORT)
    config = Path(args.config)
    dtypes = [x for x in dict.fromkeys(args.dtypes) if x != 'float32']
    for dtype in dtypes:
        try:
            in_dtype(cfg, dtype)
        except (TypeError, ValueError) as error:
            raise UsageError(f'{config}: {error}') from error
    # What mmamp does to the config is the same in every trial.
    MMLogger.get_current_instance().setLevel(logging.WARNING)
    out = args.out or Path('work_dirs/amp_report') / config.stem
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, _progress() as progress:
        task = progress.add_task('', total=args.iters)

        def show(text: str, done: int) -> None:
            progress.update(task, description=text, completed=done)

        trials = Trials(cfg, Path(folder), args.iters, show)
        analysis = Analysis(trials, cfg, config)
        report = analysis.run(dtypes)
    for name in (FRAGMENT, *(f'{x}_failed.txt' for x in COMPARED)):
        (out / name).unlink(missing_ok=True)  # of an earlier report
    for dtype, output in analysis.outputs.items():
        path = out / f'{dtype}_failed.txt'
        path.write_text(output)
        print(f'{dtype} failed; what it said: {path}')
    for row in report['dtypes']:
        if row['dtype'] == report['amp_rules']:
            fragment = write_fragment(
                out, config, cfg, row, whole=bool(args.cfg_options)
            )
            print(f'Written: {fragment}')
    _write(out, report)
    # Without float32 there is nothing to compare: the config is at fault.
    return USAGE if report['dtypes'][0]['failed'] else 0


def _progress() -> Progress:
    return Progress(
        TextColumn('{task.description}', markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=new_console(stderr=True),
    )


def _write(out: Path, report: dict[str, Any]) -> None:
    """Write ``report.json`` and ``report.html``, and print the verdict."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / 'report.json'
    path.write_text(json.dumps(report, indent=1, allow_nan=False))
    print(f'Written: {path}')
    print(f'Written: {write_page(out, report)}')
    print(report['verdict'])
