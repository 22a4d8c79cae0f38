"""One optimizer in one precision: the runs, and what they left."""

import functools
import gc
import importlib
import json
import pprint
import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine import runner
from mmengine.config import config
from mmengine.dataset import default_collate
from mmengine.optim import build_optim_wrapper

import mmamp.test
import mmamp.train
from mmamp.precision.devices import CPU, current

from .catalogue import Entry
from .children import TIMED_OUT, in_child
from .digests import num_bytes
from .settings import ADAMW, WITHOUT_RATE, settings_of
from .toy import BATCH, ITERATIONS, PLANTED, Items, Net

SAVED = 5
"""Iterations between checkpoints: every other one is inside of a window."""
RESUMED = {'inside of a window': 5, 'after the skipped window': 10}
"""The checkpoints that training goes on from."""
WARM, TIMED = 3, 15
"""Updates that are not timed, and those that are."""


@dataclass
class Seen:
    """What came of the runs of an optimizer in a precision.

    Args:
        code (int): The exit code of the undisturbed run.
        log (str): What that run printed.
        whole (dict): What :class:`~.watch.Watch` saw in it; empty if it did
            not come to its end.
        resumed (dict): The same of the runs from each checkpoint.
        logs (dict): What these printed.
        scores (dict): Of the last checkpoint, where they were asked for.
        cost (dict): Time and memory over AdamW's, where they were measured.
    """

    code: int
    log: str
    whole: dict[str, Any]
    resumed: dict[str, dict[str, Any]]
    logs: dict[str, str]
    scores: dict[str, float]
    cost: dict[str, float]


def warm_up() -> None:
    """Have forks share what each run would work out anew."""
    # The versions of compilers, for the log; and how a config's text looks.
    runner.runner.collect_env = functools.cache(runner.runner.collect_env)
    # On a GPU it would use the device, which no fork can after that.
    if current() is CPU:
        runner.runner.collect_env()
    config.FormatCode = lambda text, *args, **kwargs: (text, True)
    torch.set_num_threads(1)
    for name in (
        *(f'{__package__}.watch', 'mmamp.datasets', 'torch._dynamo'),
        *('matplotlib.pyplot', 'matplotlib.backends.backend_agg'),
    ):
        importlib.import_module(name)
    gc.collect()
    gc.freeze()


def config_of(settings: dict[str, Any], dtype: str) -> dict[str, Any]:
    """Return the config of a run.

    Args:
        settings (dict): What :func:`~.settings.settings_of` returns.
        dtype (str): Of its wrapper.
    """
    toy = f'{__package__}.toy'
    loader = dict(
        batch_size=BATCH,
        num_workers=0,
        collate_fn=dict(type='default_collate'),
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(type=f'{toy}.Items'),
    )
    whole = dict(loader, batch_size=BATCH * ITERATIONS)
    rising = dict(start_factor=0.1, begin=0, end=10)
    falling = dict(start_factor=1.0, end_factor=1e-3, begin=12, end=ITERATIONS)
    return dict(
        model=dict(type=f'{toy}.Net'),
        optim_wrapper=dict(
            type='mmamp.AmpOptimWrapper',
            constructor='mmamp.OptimWrapperConstructor',
            dtype=dtype,
            loss_scale=dict(init_scale=1024.0),
            accumulative_counts=2,
            clip_grad=dict(max_norm=1.0),
            **settings,
        ),
        param_scheduler=[
            dict(type='LinearLR', by_epoch=False, **x)
            for x in (rising, falling)
        ],
        train_cfg=dict(
            by_epoch=False, max_iters=ITERATIONS, val_interval=ITERATIONS // 2
        ),
        train_dataloader=dict(
            loader,
            sampler=dict(type='InfiniteSampler', shuffle=False),
            dataset=dict(type=f'{toy}.Items', planted=PLANTED),
        ),
        val_cfg=dict(),
        val_dataloader=whole,
        val_evaluator=dict(type=f'{toy}.MeanLoss'),
        test_cfg=dict(),
        test_dataloader=whole,
        test_evaluator=dict(type=f'{toy}.MeanLoss'),
        custom_hooks=[dict(type=f'{__package__}.watch.Watch')],
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=SAVED),
            checkpoint=dict(
                type='mmamp.CheckpointHook', interval=SAVED, by_epoch=False
            ),
        ),
        log_processor=dict(by_epoch=False),
        randomness=dict(seed=0),
    )


class Trial:
    """The runs of an optimizer in a precision.

    Args:
        entry (Entry): The optimizer.
        dtype (str): The precision.
        folder (Path): Where they go; it is emptied.
        seconds (float): That one run may take.
    """

    def __init__(
        self, entry: Entry, dtype: str, folder: Path, seconds: float
    ) -> None:
        self.folder, self.seconds = folder, seconds
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.cfg = config_of(settings_of(entry), dtype)
        if entry.path in WITHOUT_RATE:
            del self.cfg['param_scheduler']
        self.config = folder / 'config.py'
        self.config.write_text(
            ''.join(
                f'{key} = {pprint.pformat(value, sort_dicts=False)}\n'
                for key, value in self.cfg.items()
            )
        )

    def __call__(self, measured: bool) -> Seen:
        """Make the runs.

        Args:
            measured (bool): Whether time and memory are, too.
        """
        code = self._train('whole')
        whole = self._read('whole/watched.json')
        seen = Seen(code, self._log('whole'), whole, {}, {}, {}, {})
        if not whole:
            return seen
        for name, iteration in RESUMED.items():
            folder = f'resumed{iteration}'
            path = self.folder / 'whole' / f'iter_{iteration}.pth'
            self._train(folder, '--resume', str(path))
            seen.resumed[name] = self._read(f'{folder}/watched.json')
            seen.logs[name] = self._log(folder)
        if whole['has_modes']:
            self._test()
            seen.scores = self._read('test/tested.json')
        if measured:
            path = self.folder / 'cost.json'
            call = functools.partial(self._measure, path)
            in_child(call, self.folder / 'cost.txt', self.seconds)
            seen.cost = self._read('cost.json')
        return seen

    def remove_checkpoints(self) -> None:
        """Remove the checkpoints of the runs."""
        for path in self.folder.rglob('*.pth'):
            path.unlink()

    def _train(self, name: str, *args: str) -> int:
        work_dir = str(self.folder / name)
        argv = [str(self.config), '--work-dir', work_dir, *args]
        return self._run(name, functools.partial(mmamp.train.main, argv))

    def _test(self) -> int:
        work_dir = str(self.folder / 'test')
        path = self.folder / 'whole' / f'iter_{ITERATIONS}.pth'
        argv = [str(self.config), str(path), '--work-dir', work_dir]
        return self._run('test', functools.partial(mmamp.test.main, argv))

    def _run(self, name: str, call: 'functools.partial[int]') -> int:
        log = self.folder / f'{name}.txt'
        code = in_child(call, log, self.seconds)
        if code == TIMED_OUT:
            with open(log, 'a') as file:
                file.write(f'\ntook longer than {self.seconds:.0f} s\n')
        return code

    def _read(self, name: str) -> dict[str, Any]:
        path = self.folder / name
        if not path.is_file():
            return {}
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def _log(self, name: str) -> str:
        text = (self.folder / f'{name}.txt').read_text(errors='replace')
        return text.replace(f'{self.folder}/', '')

    def _measure(self, path: Path) -> int:
        """Write time and memory over AdamW's, on a wider network."""
        own = dict(self.cfg['optim_wrapper'], accumulative_counts=1)
        adamw = dict(own, optimizer=ADAMW)
        adamw.pop('param_groups', None)
        steps = [_Step(own), _Step(adamw)]
        for step in steps * WARM:
            step()
        seconds = [[step() for step in steps] for _ in range(TIMED)]
        own_bytes, bytes_of_adamw = (step.num_bytes() for step in steps)
        found = dict(
            time=statistics.median(a / b for a, b in seconds),
            memory=own_bytes / bytes_of_adamw,
        )
        path.write_text(json.dumps(found))
        return 0


class _Step:
    """Makes an update, and returns the seconds that it took."""

    def __init__(self, cfg: dict[str, Any]) -> None:
        torch.manual_seed(0)
        self._model = Net(width=16)
        self._wrapper = build_optim_wrapper(self._model, cfg)
        items = Items()
        self._data = default_collate([items[i] for i in range(BATCH)])

    def __call__(self) -> float:
        began = time.perf_counter()
        self._model.train_step(self._data, self._wrapper)
        return time.perf_counter() - began

    def num_bytes(self) -> int:
        return num_bytes(self._wrapper, self._model)
