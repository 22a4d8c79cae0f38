"""One case: what the plan predicts, and what a run on real tensors takes."""

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import distributed, nn
from torch.profiler import ProfilerActivity, profile

import mmamp  # noqa: F401  (registers everything)
from mmamp.plan.batches import Batches
from mmamp.plan.fakes import Fakes
from mmamp.plan.plan_config import plan_config
from mmamp.plan.rehearsal import Rehearsal, rehearsed
from mmamp.plan.traffic import KINDS, ranks_that_are_not_there

CONFIGS = Path(__file__).parents[2] / 'configs'
COLLECTIVES = 'c10d::'
"""What the profiler calls them by, first."""
MEMORY = '[memory]'
"""What it calls an allocation."""
RUNS = 3
"""Of several ranks, of which the median counts: what has been sent is let go
of by a thread of gloo's, sooner or later."""


@dataclass(frozen=True)
class Case:
    """What is trained.

    Args:
        config (str): Path of a config, from the reference configs on.
        dtype (str): Of all optimizers.
        counts (int): ``accumulative_counts``. Defaults to 1.
        due (bool): Whether penalties that come now and then do. Defaults to
            False.
        strategy (str): Defaults to ``'none'``.
        ranks (int): Defaults to 1.
        as_is (bool): Whether no average is put beside the generator, nor as
            many updates asked of each network. Defaults to False.
    """

    config: str
    dtype: str
    counts: int = 1
    due: bool = False
    strategy: str = 'none'
    ranks: int = 1
    as_is: bool = False

    def plan(self) -> Config:
        """Return its config."""
        cfg = Config.fromfile(str(CONFIGS / self.config))
        if not self.as_is:
            cfg.model.discriminator_steps = 1
            if cfg.model.get('ema_config') is None:
                cfg.model.ema_config = dict(momentum=0.01)
            for wrapper in cfg.optim_wrapper.values():
                if isinstance(wrapper, dict):
                    wrapper['accumulative_counts'] = self.counts
        return plan_config(cfg, self.dtype, self.strategy)

    def updates(self) -> tuple[bool, ...]:
        """Tell of each update whether penalties are due.

        The first one makes what optimizers make when they are first used; in
        the second DDP sorts its buckets.
        """
        before = (False,) * (1 if self.strategy == 'none' else 2)
        return (*before, self.due)


def predict(case: Case, target: str = 'cpu') -> dict[str, Any]:
    """Rehearse a case on tensors without numbers.

    Args:
        case (Case): The case.
        target (str): The device that it is for. Defaults to ``'cpu'``.

    Returns:
        dict: ``peak``, bytes; ``start``, those before training begins;
        ``calls`` and ``sizes`` of the last update.
    """
    cfg = case.plan()
    init_default_scope(cfg.default_scope)
    batches = Batches(cfg)
    with rehearsed(cfg, target) as run:
        traffic = run.count_traffic()
        assert run.watch is not None
        ledger = run.watch.ledger
        start = ledger.peak().total
        for due in case.updates():
            run.penalise(due)
            traffic.begin()
            with traffic:
                run.update(batches.of(batches.size))
        peak = ledger.peak().total
    return dict(
        peak=peak,
        start=start,
        calls=dict(traffic.calls),
        sizes=dict(traffic.sizes),
    )


def measure(case: Case) -> dict[str, Any]:
    """Train a case, seen by torch's profiler.

    Args:
        case (Case): The case.

    Returns:
        dict: As :func:`predict` has it.
    """
    cfg = case.plan()
    init_default_scope(cfg.default_scope)
    batches = Batches(cfg)
    with TemporaryDirectory() as folder:
        with (
            patch.object(nn.Module, 'to', _laid_out),
            profile(
                activities=[ProfilerActivity.CPU],
                profile_memory=True,
                record_shapes=case.strategy != 'none',
            ) as profiler,
        ):
            run = Rehearsal(cfg, folder, Fakes(False))
            for due in case.updates():
                run.penalise(due)
                with torch.profiler.record_function('update'):
                    run.update(batches.of(batches.size))
        events = events_of(profiler, Path(folder))
    memory = [x for x in events if x.get('name') == MEMORY]
    updates = [x for x in events if x.get('name') == 'update']
    first, last = updates[0], updates[-1]
    calls: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for event in events:
        name = str(event.get('name'))
        if name.startswith(COLLECTIVES) and event['ts'] >= last['ts']:
            kind = KINDS[name.removeprefix(COLLECTIVES)]
            calls[kind] += 1
            sizes[kind] += _elements(event['args']['Input Dims'])
    return dict(
        peak=max(x['args']['Total Allocated'] for x in memory),
        start=max(
            x['args']['Total Allocated']
            for x in memory
            if x['ts'] < first['ts']
        ),
        calls=dict(calls),
        # All that is sent is in float32 here, flags included.
        sizes={kind: 4 * n for kind, n in sizes.items()},
    )


def events_of(profiler: profile, folder: Path) -> list[dict[str, Any]]:
    """Return what a profiler has seen.

    Args:
        profiler (profile): That has ended.
        folder (Path): That it may write to.
    """
    trace = folder / 'trace.json'
    profiler.export_chrome_trace(str(trace))
    events: list[dict[str, Any]] = json.loads(trace.read_text())['traceEvents']
    return events


def _laid_out(
    module: nn.Module, *args: Any, _to: Any = nn.Module.to, **kwargs: Any
) -> nn.Module:
    """Stand in for ``Module.to``, which here need only change the layout.

    The profiler has weak references to parameters, for which FSDP2's cannot be
    moved; they are where they should be.
    """
    if 'memory_format' not in kwargs:
        return module
    moved: nn.Module = _to(module, *args, **kwargs)
    return moved


def _elements(shapes: Any) -> int:
    """Return the elements of the largest tensor, or list of them."""
    sizes = [0]
    for shape in shapes:
        several = shape and isinstance(shape[0], list)
        each = shape if several else [shape]
        sizes.append(sum(int(torch.Size(x).numel()) for x in each))
    return max(sizes)


def measure_cuda(case: Case) -> dict[str, Any]:
    """Train a case on a GPU, and ask torch for the most it has allocated.

    Args:
        case (Case): Of one process.
    """
    cfg = case.plan()
    init_default_scope(cfg.default_scope)
    batches = Batches(cfg)
    with TemporaryDirectory() as folder:
        run = Rehearsal(cfg, folder, Fakes(False))
        for due in case.updates():
            run.penalise(due)
            run.update(batches.of(batches.size))
    return dict(peak=torch.cuda.max_memory_allocated())


def in_ranks(case: Case, specified: str) -> dict[str, Any]:
    """Measure a case in real ranks of gloo; return what the first one says.

    Args:
        case (Case): Of several.
        specified (str): The same, as the command line has it.
    """
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        place = dict(
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=str(free.getsockname()[1]),
            WORLD_SIZE=str(case.ranks),
        )
    command = [sys.executable, '-W', 'ignore', '-m', 'benchmarks.plan.measure']
    children = [
        subprocess.Popen(
            [*command, specified, 'rank'],
            env={**os.environ, **place, 'RANK': str(i), 'LOCAL_RANK': str(i)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(case.ranks)
    ]
    said = [child.communicate()[0] for child in children]
    if any(child.returncode for child in children):
        raise RuntimeError('a rank has failed; what it said is above')
    found: dict[str, Any] = json.loads(said[0].splitlines()[-1])
    return found


def main(specified: str, how: str = 'both') -> dict[str, Any]:
    """Compare, or do a part of it.

    Args:
        specified (str): The case.
        how (str): ``'predict-cuda'``, ``'measure-cuda'``, ``'measure'``,
            ``'rank'``: as one of several, or ``'both'``. Defaults to that.
    """
    case = Case(**json.loads(specified))
    if how == 'predict-cuda':
        return {how: predict(case, 'cuda')}
    if how == 'measure-cuda':
        return {how: measure_cuda(case)}
    if how == 'measure':
        return {how: measure(case)}
    if how == 'rank':
        distributed.init_process_group('gloo')
        return measure(case)
    if case.ranks == 1:
        return dict(predicted=predict(case), measured=measure(case))
    with ranks_that_are_not_there(case.ranks):
        predicted = predict(case)
    runs = [in_ranks(case, specified) for _ in range(RUNS)]
    runs.sort(key=lambda x: int(x['peak']))
    return dict(predicted=predicted, measured=runs[RUNS // 2])


if __name__ == '__main__':
    print(json.dumps(main(*sys.argv[1:])), flush=True)
    # gloo sometimes waits for a rank that has left.
    os._exit(0)
