"""FSDP2 on one device, against the same model in one piece."""

import os
import tempfile
import traceback
from typing import Any

import torch
from mmengine.runner import FlexibleRunner, Runner
from torch import Tensor, distributed

from benchmarks.speed import under_runner
from benchmarks.speed.turns import Stopwatch, Turns
from benchmarks.speed.variants import MMAMP, Variant
from mmamp.distributed.sharding import gathered, is_sharded
from mmamp.precision.names import COMPARED

from . import Add

WARM, TIMED = 3, 10
"""Iterations that are not timed, and those that are."""


class TimedTurns(Turns):
    """Turns of the benchmark: one, timed after some iterations."""

    def __init__(self) -> None:
        self._done = 0
        self._watch = Stopwatch()
        self.milliseconds = 0.0

    def begin(self) -> bool:
        """Begin."""
        return True

    def done(self) -> bool:
        """Note that an iteration is done, and tell whether to go on."""
        self._done += 1
        if self._done == WARM:
            self._watch.start()
        if self._done < WARM + TIMED:
            return True
        self.milliseconds = self._watch.stop() / TIMED * 1000
        return False


def find(add: Add) -> None:
    """Train a GAN in each precision, whole and sharded."""
    os.environ['LOCAL_RANK'] = '0'
    for dtype in COMPARED:
        try:
            add('', dtype=dtype, **_compare(dtype))
        except Exception as error:
            traceback.print_exc()
            add('', dtype=dtype, result=f'{type(error).__name__}: {error}')


def _compare(dtype: str) -> dict[str, Any]:
    whole, time_of_whole, _ = _train(dtype, sharded=False)
    parts, time_of_parts, num = _train(dtype, sharded=True)
    worst = max(
        float((whole[k] - parts[k]).abs().max() / whole[k].abs().max())
        for k in whole
    )
    return {
        'result': 'trains',
        'sharded parameters': num,
        'weights differ by, at most': f'{worst:.1e}',
        'ms of an iteration': time_of_parts,
        'in one piece': time_of_whole,
    }


def _train(dtype: str, sharded: bool) -> tuple[dict[str, Tensor], float, int]:
    """Return the weights, the time, and how many parameters are sharded."""
    turns = TimedTurns()
    variant = Variant('tiny', MMAMP, dtype)
    with tempfile.TemporaryDirectory() as folder:
        cfg = under_runner.config_of(variant, folder)
        cfg.randomness = dict(seed=0)
        runner: Any
        if sharded:
            cfg.strategy = dict(type='mmamp.FSDP2Strategy')
            cfg.launcher = 'pytorch'
            # Here, since MMEngine would ask for a GPU.
            distributed.init_process_group(
                'nccl' if torch.cuda.is_available() else 'gloo',
                init_method=f'file://{folder}/store',
                rank=0,
                world_size=1,
            )
            runner = FlexibleRunner.from_cfg(cfg)
        else:
            runner = Runner.from_cfg(cfg)
        under_runner.run(runner, variant, turns)
    params = dict(runner.model.named_parameters())
    num = sum(is_sharded(x) for x in params.values())
    state = gathered({k: v.detach() for k, v in params.items()})
    if sharded:
        distributed.destroy_process_group()
    return {k: v.cpu() for k, v in state.items()}, turns.milliseconds, num
