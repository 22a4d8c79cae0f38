"""Runs in processes of their own, and what they say."""

import hashlib
import json
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmamp.checkpoint.atomic import AtomicLocalBackend
from mmamp.config.amp import mixed_optimizers
from mmamp.precision.names import COMPARED

PRECISIONS = COMPARED
STAGE = 'pixel_stage'
_running: set[int] = set()
"""Processes that train."""
TIMED, ROUNDS = 30, 3
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
        """Return the folder that the run goes to."""
        return root / self.config.stem / self.name

    def command(self, root: Path) -> list[str]:
        """Return the command that does the run."""
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


def end_running() -> None:
    """End the runs that train, as Ctrl-C in their terminal does."""
    for pid in list(_running):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
    for pid in list(_running):
        # Else the thread that waits for it has it.
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
    _running.clear()


def train(
    run: Run, root: Path, options: list[str], resume: bool = True
) -> dict[str, Any]:
    """Train, unless that was done before; go on with what was cut off.

    Args:
        run (Run): What to train.
        root (Path): Where runs go.
        options (list[str]): For ``--cfg-options``, beside the run's own.
        resume (bool): Whether what is there of the run is heeded. Defaults to
            True.

    Returns:
        dict: The metrics of the last validation, ``peak_memory`` in bytes
        and, of super-resolution that begins with pixels alone, the metrics
        after that as ``pixel_stage``.

    Raises:
        RuntimeError: If the run fails.
    """
    folder = run.work_dir(root)
    record = folder / 'result.json'
    begun = folder / 'begun.json'
    made_by = _made_by(run, root, options)
    if resume and record.is_file():
        result: dict[str, Any] = json.loads(record.read_text())
        if result.pop('made_by') == made_by:
            return result
    command = made_by['command']
    is_cut_off = begun.is_file() and not record.is_file()
    if resume and is_cut_off and json.loads(begun.read_text()) == made_by:
        command = [*command, '--resume']
    else:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        AtomicLocalBackend().put_text(json.dumps(made_by), str(begun))
    print(f'{run.config.stem}: {run.name}', flush=True)
    with open(folder / 'output.txt', 'a') as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    _running.add(process.pid)
    _, status, usage = os.wait4(process.pid, 0)
    _running.discard(process.pid)
    if status:
        raise RuntimeError(f'{folder / "output.txt"} says why a run failed')
    result = _last_metrics(folder)
    if stage := Config.fromfile(run.config).model.get('pixel_updates'):
        result[STAGE] = _last_metrics(folder, stage)
    result['peak_memory'] = _peak_memory(folder, usage)
    text = json.dumps({**result, 'made_by': made_by}, indent=1)
    AtomicLocalBackend().put_text(text, str(record))
    return result


def _made_by(run: Run, root: Path, options: list[str]) -> dict[str, Any]:
    """Return all that the result of a run depends on."""
    config = Config.fromfile(run.config).pretty_text
    return dict(
        command=[*run.command(root), *options],
        config=hashlib.sha256(config.encode()).hexdigest(),
    )


def _lines(folder: Path) -> list[dict[str, Any]]:
    """Read what a run has logged."""
    # One more for each time that the run was resumed.
    files = sorted(folder.glob('*/vis_data/scalars.json'))
    return [
        json.loads(line)
        for file in files
        for line in file.read_text().splitlines()
    ]


def _last_metrics(folder: Path, stage: int | None = None) -> dict[str, Any]:
    """Return the metrics of the last validation, if there was one.

    Args:
        folder (Path): Of the run.
        stage (int, optional): Iterations until that validation. Defaults to
            None: all.
    """
    found: dict[str, Any] = {}
    for line in _lines(folder):
        if 'iter' not in line and stage in (None, line['step']):
            found = line
    left_out = ('data_time', 'time', 'step')
    return {k: v for k, v in found.items() if k not in left_out}


def _peak_memory(folder: Path, usage: resource.struct_rusage) -> float:
    """Return the accelerator's peak memory, or the process's, in bytes."""
    device = [line['memory'] for line in _lines(folder) if 'memory' in line]
    return max(device) * 2**20 if device else usage.ru_maxrss * 2**10


def time_precisions(
    config: Path, root: Path, resume: bool = True
) -> dict[str, list[float]]:
    """Measure seconds of an iteration, the precisions taking turns.

    Args:
        config (Path): Of the config file.
        root (Path): Where runs go.
        resume (bool): Whether what is there is heeded. Defaults to True.

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
            train(run, root, options, resume)
            lines = _lines(run.work_dir(root))
            # Each is the mean over ten iterations, the first a warm-up.
            seconds = [line['time'] for line in lines if 'iter' in line]
            times[precision].append(statistics.median(seconds[1:]))
    return times


def _without_pictures(cfg: Config) -> list[str]:
    """Return options by which nothing is drawn before the end."""
    return [
        f'custom_hooks.{i}.interval={TIMED}'
        for i, hook in enumerate(cfg.get('custom_hooks') or [])
        if str(hook.get('type')).endswith('SampleHook')
    ]
