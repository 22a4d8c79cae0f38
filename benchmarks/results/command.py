"""The command."""

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mmamp.config.amp import mixed_optimizers
from mmamp.config.loading import load_config
from mmamp.errors import INTERRUPTED
from mmamp.utils.consoles import tracked

from .metafiles import write_metafile
from .runs import PRECISIONS, Run, end_running, time_precisions, train
from .tables import report, write


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description='Train configs in each precision; write the tables'
    )
    parser.add_argument('configs', nargs='+', type=Path)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0])
    parser.add_argument(
        '--iters',
        type=int,
        metavar='N',
        help="iterations of each run (default: the config's)",
    )
    parser.add_argument(
        '--float16-iters',
        type=int,
        metavar='N',
        help='iterations in float16, where a CPU has no such instructions '
        '(default: as in the others)',
    )
    parser.add_argument(
        '--jobs', type=int, default=1, help='runs at a time (default: 1)'
    )
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/results')
    )
    parser.add_argument(
        '--resume',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='go on from what the work dir has of these runs (default), or '
        'train all anew',
    )
    parser.add_argument(
        '--gif',
        action='store_true',
        help='also put an interpolation beside the config, of a model that '
        'makes images of latents',
    )
    parser.add_argument(
        '--train-only',
        action='store_true',
        help='leave timing and writing to a later call',
    )
    args = parser.parse_args(argv)
    for config in args.configs:
        if not config.is_file():
            parser.error(f'config file {str(config)!r} does not exist')
        if not (config.parent / 'README.md').is_file():
            parser.error(f'there is no README.md beside {str(config)!r}')
        try:
            mixed_optimizers(load_config(str(config)))
        except ValueError as error:
            parser.error(str(error))
    return args


def main(argv: list[str] | None = None) -> int:
    """Train configs, time them and write their results.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, 1 if a run failed, 130 after Ctrl-C.
    """
    args = parse_args(argv)
    try:
        return _main(args)
    except KeyboardInterrupt:
        end_running()
        print(
            'Interrupted. The same command goes on with the runs that are '
            'left.',
            file=sys.stderr,
        )
        return INTERRUPTED


def _main(args: argparse.Namespace) -> int:
    root = args.work_dir
    runs = [run for config in args.configs for run in _runs(config, args)]
    with ThreadPoolExecutor(args.jobs) as pool:
        try:
            done = pool.map(
                lambda run: train(run, root, [], args.resume), runs
            )
            found = list(tracked(done, 'Training', len(runs)))
        except RuntimeError as error:
            print(f'benchmarks.results: error: {error}', file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            # Before the pool waits for them.
            end_running()
            raise
    if args.train_only:
        return 0
    of_run = dict(zip(runs, found, strict=True))
    for config in args.configs:
        times = time_precisions(config, root, args.resume)
        results = {r: v for r, v in of_run.items() if r.config == config}
        command = f'python tools/results.py {config} --seeds '
        command += ' '.join(map(str, args.seeds))
        for name in ('iters', 'float16_iters'):
            if (value := getattr(args, name)) is not None:
                command += f' --{name.replace("_", "-")} {value}'
        if args.gif:
            command += ' --gif'
        text = report(config, results, times, root, command, args.gif)
        for path in (*write(config, text), write_metafile(config.parent)):
            print(f'Written: {path}')
    return 0


def _runs(config: Path, args: argparse.Namespace) -> list[Run]:
    iters = dict.fromkeys(PRECISIONS, args.iters)
    iters['float16'] = args.float16_iters or args.iters
    return [
        Run(config, precision, seed, iters[precision], f'{precision}-{seed}')
        for precision in PRECISIONS
        for seed in args.seeds
    ]
