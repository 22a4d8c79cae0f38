"""The command."""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import mmengine
from mmengine.device import get_device

import mmamp
from benchmarks.results.tables import put_between
from mmamp.errors import FAILED, USAGE
from mmamp.launcher.mistakes import exit_code
from mmamp.precision.devices import machine
from mmamp.precision.names import COMPARED
from mmamp.utils.consoles import new_console

from .checkpoints import measure_stops
from .comparisons import (
    EPOCH,
    STEPS,
    comparisons,
    empty_steps,
    is_native,
    small_epochs,
    variants_of,
)
from .imports import memory_of_imports
from .measure import Measured, measure
from .models import LARGE, MODELS_BY_NAME, SMALL
from .peers import INSTALL, PACKAGES, installed
from .records import Records, Setting
from .report import (
    Rows,
    empty_rows,
    import_rows,
    ratio_rows,
    shown,
    stop_rows,
    variant_rows,
)
from .variants import Variant

COMMAND = 'benchmarks.speed'
RUNNER = 'The Runner beside the training step, batch 8'
IMPORTS = 'What importing takes'
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
        choices=COMPARED,
        help='beside float32; float32 alone is that alone; default: those '
        'that the device has instructions for, and bfloat16',
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
        '--peers',
        action='store_true',
        help=f'train on top of {" and ".join(PACKAGES)}, too',
    )
    parser.add_argument(
        '--quick',
        action='store_true',
        help='a look at the tiny model, in a minute or two',
    )
    parser.add_argument(
        '--results',
        type=Path,
        default=Path('work_dirs/benchmark.jsonl'),
        metavar='FILE',
        help='where it is kept what was measured, so that a run that was cut '
        'off goes on (default: %(default)s)',
    )
    parser.add_argument(
        '--resume',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='go on from what is kept of what is asked for (default), or '
        'measure it anew',
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
    args.dtypes = list(dict.fromkeys(['float32', *chosen]))
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
        int: Exit code: 0, 1 if a process failed, 2 with ``--peers`` if none
        is installed, 130 after Ctrl-C.
    """
    argv = sys.argv[1:] if argv is None else argv
    args = parse_args(argv)
    versions = installed()
    peers = {x: x in versions for x in PACKAGES} if args.peers else {}
    for peer, is_there in peers.items():
        if not is_there:
            print(
                f'{COMMAND}: {peer} is not installed: {INSTALL}',
                file=sys.stderr,
            )
    args.peers = [peer for peer, is_there in peers.items() if is_there]
    if peers and not args.peers:
        return USAGE
    records = Records(args.results, _origin(versions))
    with tempfile.TemporaryDirectory(prefix='mmamp-benchmark-') as folder:
        try:
            tables = list(_tables(args, _Measuring(args, records, folder)))
        except KeyboardInterrupt as error:
            return exit_code(error, COMMAND)
        except RuntimeError as error:
            print(f'{COMMAND}: error: {error}', file=sys.stderr)
            return FAILED
    if args.write:
        text = '\n\n'.join([_heading(argv, args.peers, records), *tables])
        for page in PAGES:
            put_between(page, *MARKS, text)
            print(f'Written: {page}')
    return 0


class _Measuring:
    """Measures what is not kept, as the command line has it."""

    def __init__(
        self, args: argparse.Namespace, records: Records, folder: str
    ) -> None:
        self._args, self._records = args, records
        self.folder = Path(folder)

    def __call__(
        self,
        variants: list[Variant],
        iterations: int,
        name: str,
        starts: int | None = None,
        rounds: int | None = None,
    ) -> dict[Variant, Measured]:
        args = self._args
        setting = Setting(
            tuple(variants), rounds or args.rounds, iterations, args.threads
        )
        if not args.resume:
            self._records.forget(setting)
        starts = starts or args.starts
        if kept := len(self._records.find(setting, starts)):
            print(
                f'{name}: {kept} of {starts} starts are kept in '
                f'{args.results}; --no-resume measures them anew',
                file=sys.stderr,
            )
        return measure(setting, starts, self._records, self.folder / name)


def _tables(args: argparse.Namespace, measured: _Measuring) -> Iterator[str]:
    """Measure one thing after the other, and yield tables in Markdown."""
    with new_console(stderr=True).status('') as status:
        for name in args.models:
            model = MODELS_BY_NAME[name]
            status.update(model.title)
            asked = comparisons(name, args.dtypes, args.peers)
            found = measured(variants_of(asked), model.iterations, name)
            yield shown(model.title, ratio_rows(asked, found))
            yield shown(f'{model.title}: each of them', variant_rows(found))
        status.update(RUNNER)
        yield shown(RUNNER, _empty(args, measured))
        status.update(IMPORTS)
        if taken := memory_of_imports(args.peers):
            yield shown(IMPORTS, import_rows(taken))
        status.update('Checkpoints')
        yield _stops(args, measured.folder)


def _stops(args: argparse.Namespace, folder: Path) -> str:
    """Measure what checkpoints cost, of 1 GiB or with --quick less."""
    stops = measure_stops(
        layers=4 if args.quick else 32,
        pairs=1 + args.rounds,
        apart=12,
        folder=folder / 'checkpoints',
        threads=args.threads,
    )
    return shown(f'Checkpoints of {stops.gib:.2f} GiB', stop_rows(stops))


def _empty(args: argparse.Namespace, measured: _Measuring) -> Rows:
    """Measure what the Runner takes where training takes nothing."""
    lengths = (0, 20_000) if args.quick else STEPS
    steps = measured(empty_steps(lengths), 400, 'empty steps')
    epochs = measured(
        *(small_epochs(), EPOCH, 'small epochs'),
        starts=1,
        rounds=min(args.rounds, 4),
    )
    return empty_rows(steps, epochs)


def _origin(peers: dict[str, str]) -> dict[str, str]:
    """Return the device and the versions that results are of."""
    return dict(
        device=machine(),
        mmamp=mmamp.__version__,
        mmengine=mmengine.__version__,
        **peers,
    )


def _heading(argv: list[str], peers: list[str], records: Records) -> str:
    """Say when and where it was measured, and how."""
    dates = ' to '.join(sorted({min(records.dates), max(records.dates)}))
    native = ' and '.join(filter(is_native, COMPARED[1:])) or 'float32 alone'
    versions = ''.join(f', {PACKAGES[x]} {installed()[x]}' for x in peers)
    command = ' '.join(['python tools/benchmark.py', *argv])
    return (
        f'{dates}, on {machine()}{versions}, {os.cpu_count()} cores, '
        f'instructions for {native}:\n\n<!-- test: parse -->\n```bash\n'
        f'{command}\n```'
    )
