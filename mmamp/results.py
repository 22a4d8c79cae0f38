"""Train reference configs in each precision, and write what came of it.

``python tools/results.py CONFIG ...`` trains every config in float32, bfloat16
and float16 with each seed, in processes of their own, then times the
precisions in turn, and writes a table and the last picture into the README of
the config's folder. Runs that are done already are not repeated.
"""

import argparse
import hashlib
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from mmamp.config.amp import mixed_optimizers
from mmamp.config.launch import load_config

PRECISIONS = ('float32', 'bfloat16', 'float16')
BEGIN, END = '<!-- results of {}: begin -->', '<!-- results of {}: end -->'
TIMED, ROUNDS = 60, 3
"""Iterations of a timed run, and how often each precision has its turn."""


@dataclass(frozen=True)
class Run:
    """One training run.

    Args:
        config (Path): Of the config file.
        precision (str): One of ``PRECISIONS``.
        seed (int): Of the run.
        iters (int, optional): In place of the config's ``max_iters``.
        name (str): Of its work dir.
    """

    config: Path
    precision: str
    seed: int
    iters: int | None
    name: str

    def work_dir(self, root: Path) -> Path:
        """Where it goes."""
        return root / self.config.stem / self.name

    def command(self, root: Path) -> list[str]:
        """What trains it."""
        options = [f'randomness.seed={self.seed}']
        amp = ['--amp', '--amp-dtype', self.precision]
        if self.precision == 'float32':
            amp = []
            # A config that is written in mixed precision.
            options += [
                f'{key}.dtype=float32'
                for key in mixed_optimizers(Config.fromfile(self.config))
            ]
        if self.iters is not None:
            options += [f'train_cfg.max_iters={self.iters}']
            options += [f'train_cfg.val_interval={self.iters}']
        return [
            *(sys.executable, '-m', 'mmamp.train', str(self.config), *amp),
            *('--work-dir', str(self.work_dir(root))),
            *('--cfg-options', *options),
        ]


def train(run: Run, root: Path, options: list[str]) -> dict[str, float]:
    """Train, unless that was done before.

    Returns:
        dict[str, float]: The metrics of the last validation, and
        ``peak_memory`` in bytes.

    Raises:
        RuntimeError: If the run fails.
    """
    folder = run.work_dir(root)
    record = folder / 'result.json'
    made_by = _made_by(run, root, options)
    if record.is_file():
        result = json.loads(record.read_text())
        if result.pop('made_by') == made_by:
            return result
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f'{run.config.stem}: {run.name}', flush=True)
    with open(folder / 'output.txt', 'w') as output:
        process = subprocess.Popen(
            made_by['command'], stdout=output, stderr=output
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f'{folder / "output.txt"} says why a run failed')
    result = _last_metrics(folder)
    result['peak_memory'] = _peak_memory(folder, usage)
    record.write_text(json.dumps({**result, 'made_by': made_by}, indent=1))
    return result


def _made_by(run: Run, root: Path, options: list[str]) -> dict[str, Any]:
    """What a result depends on: another one is another result."""
    config = Config.fromfile(run.config).pretty_text
    return dict(
        command=[*run.command(root), *options],
        config=hashlib.sha256(config.encode()).hexdigest(),
    )


def _lines(folder: Path) -> list[dict]:
    """What a run has logged."""
    (file,) = folder.glob('*/vis_data/scalars.json')
    return [json.loads(line) for line in file.read_text().splitlines()]


def _last_metrics(folder: Path) -> dict[str, float]:
    """Of the last validation, if there was one."""
    found: dict[str, float] = {}
    for line in _lines(folder):
        if 'iter' not in line:
            found = line
    left_out = ('data_time', 'time', 'step')
    return {k: v for k, v in found.items() if k not in left_out}


def _peak_memory(folder: Path, usage: resource.struct_rusage) -> float:
    """Of the accelerator if there is one, else of the process; in bytes."""
    device = [line['memory'] for line in _lines(folder) if 'memory' in line]
    return max(device) * 2**20 if device else usage.ru_maxrss * 2**10


def time_precisions(config: Path, root: Path) -> dict[str, list[float]]:
    """Seconds of an iteration, the precisions taking turns.

    Args:
        config (Path): Of the config file.
        root (Path): Where runs go.

    Returns:
        dict[str, list[float]]: The median of each round.
    """
    times: dict[str, list[float]] = {p: [] for p in PRECISIONS}
    options = [
        *('default_hooks.logger.interval=10', 'val_dataloader=None'),
        *('default_hooks.checkpoint.save_best=None', 'val_cfg=None'),
        'val_evaluator=None',
        *_without_pictures(Config.fromfile(config)),
    ]
    for i in range(ROUNDS):
        for precision in PRECISIONS:
            name = f'time-{precision}-{i}'
            run = Run(config, precision, 0, TIMED, name)
            train(run, root, options)
            lines = _lines(run.work_dir(root))
            # Each is the mean over ten iterations, the first a warm-up.
            seconds = [line['time'] for line in lines if 'iter' in line]
            times[precision].append(statistics.median(seconds[1:]))
    return times


def _without_pictures(cfg: Config) -> list[str]:
    """Options by which nothing is drawn before the end."""
    return [
        f'custom_hooks.{i}.interval={TIMED}'
        for i, hook in enumerate(cfg.get('custom_hooks') or [])
        if str(hook.get('type')).endswith('SampleHook')
    ]


def _runs(config: Path, args: argparse.Namespace) -> list[Run]:
    iters = dict.fromkeys(PRECISIONS, args.iters)
    iters['float16'] = args.float16_iters or args.iters
    return [
        Run(config, precision, seed, iters[precision], f'{precision}-{seed}')
        for precision in PRECISIONS
        for seed in args.seeds
    ]


def _cell(values: list[float]) -> str:
    """Mean and, of several, their standard deviation."""
    mean = f'{statistics.mean(values):.4g}'
    if len(values) == 1:
        return mean
    return f'{mean} ± {statistics.stdev(values):.2g}'


def table(
    results: dict[Run, dict[str, float]], times: dict[str, list[float]]
) -> str:
    """The table of a config, in Markdown.

    Args:
        results (dict): What :func:`train` said of each run.
        times (dict): What :func:`time_precisions` said.
    """
    first = next(iter(results.values()))
    metrics = [
        key for key in first if key != 'peak_memory' and key[-4:] != '_std'
    ]
    head = ['precision', 'seeds', *metrics, 'ms an iteration']
    head += ['time / float32', 'peak memory, MiB']
    rows = [head, ['---'] * len(head)]
    for precision in PRECISIONS:
        runs = [run for run in results if run.precision == precision]
        found = [results[run] for run in runs]
        iters = runs[0].iters
        ratios = [
            t / f
            for t, f in zip(times[precision], times['float32'], strict=True)
        ]
        rows.append(
            [
                precision + (f' ({iters} iterations)' if iters else ''),
                ', '.join(str(run.seed) for run in runs),
                *(_cell([r[key] for r in found]) for key in metrics),
                f'{statistics.median(times[precision]) * 1000:.0f}',
                f'{statistics.median(ratios):.2f} '
                f'({min(ratios):.2f} to {max(ratios):.2f})',
                f'{max(r["peak_memory"] for r in found) / 2**20:.0f}',
            ]
        )
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def machine() -> str:
    """What it ran on."""
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
    else:
        name = f'CPU ({_processor()}), {torch.get_num_threads()} threads'
    return f'{name}, torch {torch.__version__}'


def _processor() -> str:
    info = Path('/proc/cpuinfo')  # Linux alone has it
    for line in info.read_text().splitlines() if info.is_file() else ():
        if line.startswith('model name'):
            return line.partition(':')[2].strip()
    return platform.processor()


def write(config: Path, text: str) -> Path:
    """Put the results into the README beside a config, in place of older ones.

    Args:
        config (Path): Of the config file.
        text (str): Markdown.

    Returns:
        Path: Of the README.
    """
    begin, end = BEGIN.format(config.stem), END.format(config.stem)
    readme = config.parent / 'README.md'
    before, _, rest = readme.read_text().partition(begin)
    after = rest.partition(end)[2].strip()
    parts = [before.rstrip(), f'{begin}\n\n{text}\n\n{end}', after]
    readme.write_text('\n\n'.join(part for part in parts if part) + '\n')
    return readme


def report(
    config: Path,
    results: dict[Run, dict[str, float]],
    times: dict[str, list[float]],
    root: Path,
    command: str,
) -> str:
    """The results of a config, in Markdown, and its picture beside it."""
    return (
        f'## Results of {config.name}\n\n'
        f'{table(results, times)}\n\n'
        'The last validation of each run: mean and standard deviation over '
        f'seeds. Times of {ROUNDS} rounds in which precisions take turns. '
        'Memory is that of the accelerator, on a CPU of the whole process. '
        f'On {machine()}. Made by\n\n```bash\n{command}\n```'
        f'{_picture(config, results, root)}'
    )


def _picture(
    config: Path, results: dict[Run, dict[str, float]], root: Path
) -> str:
    """The last picture in bfloat16, put beside the config, if there is one."""
    run = next(run for run in results if run.precision == 'bfloat16')
    pictures = run.work_dir(root).glob('*/vis_data/vis_image/samples_*.png')
    last = max(pictures, key=lambda path: path.stat().st_mtime, default=None)
    if last is None:
        return ''
    picture = config.with_suffix('.png')
    shutil.copyfile(last, picture)
    return (
        f'\n\nIn bfloat16, seed {run.seed}:\n\n'
        f'![samples of {config.stem}]({picture.name})'
    )


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
    """Train, time and write.

    Args:
        argv (list[str], optional): The command line. Defaults to None:
            ``sys.argv``.

    Returns:
        int: Exit code: 0, or 1 if a run failed.
    """
    args = parse_args(argv)
    root = args.work_dir
    runs = [run for config in args.configs for run in _runs(config, args)]
    with ThreadPoolExecutor(args.jobs) as pool:
        try:
            found = list(pool.map(lambda run: train(run, root, []), runs))
        except RuntimeError as error:
            print(f'mmamp.results: error: {error}', file=sys.stderr)
            return 1
    if args.train_only:
        return 0
    of_run = dict(zip(runs, found, strict=True))
    for config in args.configs:
        times = time_precisions(config, root)
        results = {r: v for r, v in of_run.items() if r.config == config}
        command = f'python tools/results.py {config} --seeds '
        command += ' '.join(map(str, args.seeds))
        for name in ('iters', 'float16_iters'):
            if (value := getattr(args, name)) is not None:
                command += f' --{name.replace("_", "-")} {value}'
        text = report(config, results, times, root, command)
        print(f'Written: {write(config, text)}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
