"""One model on one rank of so many, of which the others are not there."""

import json
import math
import os
import pickle
import signal
import sys
import time
from contextlib import nullcontext
from dataclasses import replace
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import FlexibleRunner, Runner
from torch import Tensor
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner

import mmamp  # noqa: F401  (registers everything)
from mmamp.compat.torch import tree_leaves
from mmamp.distributed.sharding import is_sharded, local
from mmamp.plan.traffic import Traffic, ranks_that_are_not_there

from .convolutions import left_out
from .models import LARGE, PATIENCE, config_of

ITERS = 2
"""The first has the penalties that come now and then, the second has not."""
GROUP = 8
"""Ranks that share a network, where groups of them do."""


class Counting(Hook):
    """Counts the traffic of each iteration.

    Attributes:
        found (list[dict]): Of each.
    """

    priority = 'VERY_HIGH'

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self._traffic = Traffic()

    def before_train(self, runner: Any) -> None:
        """Watch what DDP does by itself."""
        self._traffic.watch_ddp(runner.model)

    def before_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        """Begin to count."""
        self._traffic.begin()
        self._traffic.__enter__()  # type: ignore[no-untyped-call]

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        """Keep what was counted."""
        self._traffic.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        row = dict(calls=dict(self._traffic.calls), sent=self._traffic.sent)
        self.found.append(row)


def tensors(value: Any) -> list[Tensor]:
    """Return the tensors of a state."""
    return [x for x in tree_leaves(value) if isinstance(x, Tensor)]


def trial(name: str, strategy: str, ranks: int) -> dict[str, Any]:
    """Train, and tell what it took.

    Args:
        name (str): Of the model.
        strategy (str): ``'DDP'``, ``'FSDP2'`` or ``'FSDP2 in groups'``.
        ranks (int): How many there seem to be.

    Returns:
        dict: ``calls`` and ``sent`` of an update of both networks, and the
        same ``with_penalties``; ``held``, the bytes of what a rank keeps
        between updates, gradients included; ``whole``, those of a
        checkpoint, and ``part``, what this rank writes of one in parts;
        ``planning``, seconds that DCP's first rank takes to plan it.
    """
    with ranks_that_are_not_there(ranks):
        return _trial(name, strategy, ranks)


def _trial(name: str, strategy: str, ranks: int) -> dict[str, Any]:
    cfg = config_of(name, ITERS)
    counting = Counting()
    with TemporaryDirectory() as folder:
        cfg.work_dir, cfg.launcher = folder, 'pytorch'
        runner: Any
        if strategy.startswith('FSDP2'):
            cfg.strategy = dict(
                type='mmamp.FSDP2Strategy',
                shard_size=GROUP if strategy.endswith('groups') else None,
            )
            runner = FlexibleRunner.from_cfg(cfg)
        else:
            cfg.model_wrapper_cfg = dict(
                type='mmamp.SeparateDistributedDataParallel'
            )
            runner = Runner.from_cfg(cfg)
        runner.register_hook(counting)
        with left_out() if name in LARGE else nullcontext():
            runner.train()
    wrappers = runner.optim_wrapper
    state = [
        runner.model.state_dict(),
        *(x.optimizer.state_dict() for x in wrappers.values()),
    ]
    grads = [p.grad for p in runner.model.parameters() if p.requires_grad]
    first, second = counting.found
    return dict(
        name=name,
        strategy=strategy,
        ranks=ranks,
        **second,
        with_penalties=first,
        held=sum(local(x).nbytes for x in tensors([state, grads])),
        whole=sum(x.nbytes for x in tensors(state)),
        part=sum(local(x).nbytes for x in tensors(state) if is_sharded(x)),
        planning=None
        if strategy == 'DDP' or ranks == 1
        else planning(state, ranks),
    )


def planning(state: Any, ranks: int) -> float:
    """Return how long DCP's first rank takes to plan a checkpoint.

    It loads the plans of all others, and makes one of them. They are made of
    its own, whose parts are moved.

    Args:
        state (Any): Whose tensors are saved.
        ranks (int): How many there are.

    Returns:
        float: Seconds; infinite where they are more than :data:`PATIENCE`.
    """
    named = {str(i): x for i, x in enumerate(tensors(state))}
    planner = DefaultSavePlanner(dedup_save_to_lowest_rank=True)
    planner.set_up_planner(named, is_coordinator=True)
    own = planner.create_local_plan()
    shards = [x for x in own.items if is_sharded(named[x.index.fqn])]
    mesh = named[shards[0].index.fqn].device_mesh  # type: ignore[attr-defined]
    told = []
    for rank in range(1, ranks):
        parts = (_moved(x, rank) for x in shards)
        # Those that have a copy write nothing.
        items = [x for x in parts if x] if rank < mesh.size(-1) else []
        told.append(pickle.dumps(replace(own, items=items)))
    began = time.perf_counter()
    signal.signal(signal.SIGALRM, _is_long)
    signal.alarm(PATIENCE)
    try:
        plans = [own, *map(pickle.loads, told)]
        _, metadata = planner.create_global_plan(plans)
        pickle.dumps(metadata)
    except TimeoutError:
        return math.inf
    finally:
        signal.alarm(0)
    return time.perf_counter() - began


def _is_long(*_: Any) -> None:
    raise TimeoutError


def _moved(item: Any, rank: int) -> Any:
    """Return another rank's part of a tensor; None if it has none."""
    tensor, chunk = item.tensor_data, item.tensor_data.chunk
    first = rank * chunk.sizes[0]
    rows = min(chunk.sizes[0], tensor.size[0] - first)
    if rows <= 0:
        return None
    at = torch.Size([first, *chunk.offsets[1:]])
    part = replace(
        chunk, offsets=at, sizes=torch.Size([rows, *chunk.sizes[1:]])
    )
    return replace(
        item,
        index=replace(item.index, offset=at),
        tensor_data=replace(tensor, chunk=part),
    )


if __name__ == '__main__':
    torch.set_num_threads(2)
    found = trial(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    print(json.dumps(found), flush=True)
    os._exit(0)
