"""The command."""

import argparse
import datetime
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from mmengine.device import get_device
from rich.console import Console

from benchmarks.results.tables import put_between
from mmamp.launcher.mistakes import exit_code
from mmamp.precision.devices import machine
from mmamp.precision.names import COMPARED

from .comparisons import (
    EPOCH,
    STEPS,
    comparisons,
    empty_steps,
    is_native,
    small_epochs,
    variants_of,
)
from .measure import measure
from .models import LARGE, MODELS_BY_NAME, SMALL
from .report import Rows, empty_rows, ratio_rows, shown, variant_rows

COMMAND = 'benchmarks.speed'
RUNNER = 'The Runner beside the training step, batch 8'
PAGES = [Path(f'docs/{x}/benchmark.md') for x in ('en', 'zh_cn')]
MARKS = (
    '<!-- begin: tools/benchmark.py -->',
    '<!-- end: tools/benchmark.py -->',
)


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog='benchmark.py',
        description='Time training by hand, with mmamp and in the stock way, '
        'in turns',
    )
    parser.add_argument(
        '--models',
        nargs='+',
        choices=MODELS_BY_NAME,
        help=f'default: {", ".join(SMALL)} on a CPU, {", ".join(LARGE)} on '
        'an accelerator; with --quick tiny',
    )
    parser.add_argument(
        '--dtypes',
        nargs='+',
        choices=COMPARED[1:],
        help='beside float32; default: those that the device has '
        'instructions for, and bfloat16',
    )
    parser.add_argument(
        '--rounds',
        type=_positive,
        metavar='N',
        help='turns of each process (default: 6, with --quick 4)',
    )
    parser.add_argument(
        '--starts',
        type=_positive,
        metavar='N',
        help='processes of each variant, one after the other (default: 6, '
        'with --quick 1)',
    )
    parser.add_argument(
        '--threads',
        type=_positive,
        metavar='N',
        help="that torch uses on a CPU (default: torch's own choice)",
    )
    parser.add_argument(
        '--quick',
        action='store_true',
        help='a look at the tiny model, in a minute or two',
    )
    parser.add_argument(
        '--write',
        action='store_true',
        help=f'put the tables into {" and ".join(map(str, PAGES))}',
    )
    return parser


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line, and fill in what it leaves open."""
    parser = build_parser()
    args = parser.parse_args(argv)
    missing = [str(page) for page in PAGES if not page.is_file()]
    if args.write and missing:
        parser.error(f'--write: there is no {missing[0]} in {Path.cwd()}')
    fitting = SMALL if get_device() == 'cpu' else LARGE
    args.models = args.models or (['tiny'] if args.quick else fitting)
    chosen = args.dtypes or ['bfloat16', *filter(is_native, COMPARED[1:])]
    args.dtypes = ['float32', *dict.fromkeys(chosen)]
    args.rounds = args.rounds or (4 if args.quick else 6)
    args.starts = args.starts or (1 if args.quick else 6)
    return args


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r} is no whole number >= 1')
    return int(text)


def main(argv: list[str] | None = None) -> int:
    """Measure what is asked for, print the tables and maybe write them.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 1 if a process failed, 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)
    with tempfile.TemporaryDirectory(prefix='mmamp-benchmark-') as folder:
        try:
            tables = list(_tables(args, Path(folder)))
        except KeyboardInterrupt as error:
            return exit_code(error, COMMAND)
        except RuntimeError as error:
            print(f'{COMMAND}: error: {error}', file=sys.stderr)
            return 1
    if args.write:
        text = '\n\n'.join([_heading(argv), *tables])
        for page in PAGES:
            put_between(page, *MARKS, text)
            print(f'Written: {page}')
    return 0


def _tables(args: argparse.Namespace, folder: Path) -> Iterator[str]:
    """Measure one thing after the other, and yield tables in Markdown."""
    with Console(stderr=True).status('') as status:
        for name in args.models:
            model = MODELS_BY_NAME[name]
            status.update(model.title)
            asked = comparisons(name, args.dtypes)
            found = measure(
                variants_of(asked),
                args.starts,
                args.rounds,
                model.iterations,
                folder / name,
                args.threads,
            )
            yield shown(model.title, ratio_rows(asked, found))
            yield shown(f'{model.title}: each of them', variant_rows(found))
        status.update(RUNNER)
        yield shown(RUNNER, _empty(args, folder))


def _empty(args: argparse.Namespace, folder: Path) -> Rows:
    """Measure what the Runner takes where training takes nothing."""
    steps = measure(
        empty_steps((0, 20_000) if args.quick else STEPS),
        args.starts,
        args.rounds,
        400,
        folder / 'empty',
        args.threads,
    )
    epochs = measure(
        small_epochs(),
        1,
        min(args.rounds, 4),
        EPOCH,
        folder / 'epochs',
        args.threads,
    )
    return empty_rows(steps, epochs)


def _heading(argv: list[str]) -> str:
    """Say when and where it was measured, and how."""
    today = datetime.date.today().isoformat()
    native = ' and '.join(filter(is_native, COMPARED[1:])) or 'float32 alone'
    command = ' '.join(['python tools/benchmark.py', *argv])
    return (
        f'{today}, on {machine()}, {os.cpu_count()} cores, instructions for '
        f'{native}:\n\n<!-- test: parse -->\n```bash\n{command}\n```'
    )
