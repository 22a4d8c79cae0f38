"""A hook that notes what a run does."""

import json
from pathlib import Path
from typing import Any

import torch
from mmengine.dataset import default_collate
from mmengine.hooks import Hook
from torch import nn
from torch.func import functional_call

from .digests import digests, optimizers_of, sizes
from .toy import PLANTED, Items

EARLY = 5
"""The iteration after which precisions are compared: the third window."""


class Watch(Hook):
    """Write ``watched.json`` into the work dir when training ends.

    ``tested.json`` after a test.
    """

    # Before schedules step.
    priority = 'NORMAL'

    def __init__(self) -> None:
        self._seen: dict[str, Any] = dict(
            loss={}, lr={}, moved={}, scores={}, spoilt=None, own_rate=False
        )
        self._before: dict[str, str] = {}
        self._params: list[torch.Tensor] = []

    def before_train(self, runner: Any) -> None:
        """Note where training begins."""
        self._seen['before'] = self._loss(runner.model)

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        """Note what a window begins with."""
        self._seen['lr'][runner.iter] = _rate(runner)
        if runner.iter % 2 == 0:
            self._params = [
                p.detach().clone() for p in runner.model.parameters()
            ]
        if runner.iter == PLANTED - 1:
            self._before = digests(runner.optim_wrapper, runner.model)

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
    ) -> None:
        """Note what came of it."""
        seen, wrapper = self._seen, runner.optim_wrapper
        seen['loss'][runner.iter] = float(outputs['loss'])
        seen['own_rate'] |= _rate(runner) != seen['lr'][runner.iter]
        if self._params and runner.iter % 2:
            pairs = zip(runner.model.parameters(), self._params, strict=True)
            moved = [(p.detach() - old).norm() for p, old in pairs]
            seen['moved'][runner.iter] = float(torch.stack(moved).norm())
        if runner.iter == EARLY:
            seen['sizes'] = sizes(wrapper, runner.model)
        if runner.iter == PLANTED and self._before:
            now = digests(wrapper, runner.model)
            seen['spoilt'] = [
                key
                for key in sorted({*now, *self._before})
                if now.get(key) != self._before.get(key)
                # Which the schedule has set meanwhile.
                and key.rpartition('.')[2] not in ('lr', 'initial_lr')
            ]

    def after_val_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        """Note the scores of a validation."""
        self._seen['scores'][runner.iter] = metrics

    def after_test_epoch(
        self, runner: Any, metrics: dict[str, float] | None = None
    ) -> None:
        """Write the scores of a test."""
        path = Path(runner.work_dir) / 'tested.json'
        path.write_text(json.dumps(metrics))

    def after_train(self, runner: Any) -> None:
        """Write what was seen."""
        found = optimizers_of(runner.optim_wrapper).values()
        self._seen.update(
            after=self._loss(runner.model),
            skipped=int(runner.optim_wrapper.skipped_steps),
            has_modes=any(
                callable(getattr(x, 'train', None))
                and callable(getattr(x, 'eval', None))
                for x in found
            ),
            end=digests(runner.optim_wrapper, runner.model),
        )
        path = Path(runner.work_dir) / 'watched.json'
        path.write_text(json.dumps(self._seen))

    @torch.no_grad()
    def _loss(self, model: nn.Module) -> float:
        """Return the loss of all items, by their own statistics."""
        items = Items()
        data = default_collate([items[i] for i in range(len(items))])
        buffers = {name: x.clone() for name, x in model.named_buffers()}
        found = functional_call(model, buffers, (), dict(data, mode='loss'))
        return float(found['loss'])


def _rate(runner: Any) -> float | None:
    """Return the first optimizer's learning rate, if it has one."""
    first = next(iter(optimizers_of(runner.optim_wrapper).values()))
    rate = first.param_groups[0].get('lr')
    return None if rate is None else float(rate)
