import os

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmamp.engine.hooks import EMAHook


class Reads(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.number = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.number += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('counts', [1, 2])
def test_waits_for_updates_that_were_not_skipped(build_runner, counts, fused):
    given = {
        'optim_wrapper.optimizer.fused': fused,
        'optim_wrapper.accumulative_counts': counts,
        'model.bad_iters': tuple(range(2 * counts, 4 * counts)),
        'train_cfg.max_iters': 6 * counts,
        'custom_hooks': [dict(type='EMAHook', momentum=0.5)],
    }
    runner = build_runner(options=given)
    runner.train()
    (hook,) = [h for h in runner.hooks if type(h).__name__ == 'EMAHook']
    assert type(hook).__module__ == 'mmamp.engine.hooks.ema_hook'
    assert runner.optim_wrapper.skipped_steps == 2
    # Once for each of the windows that were not skipped.
    assert hook.ema_model.steps == 6 - 2
    for value in hook.ema_model.state_dict().values():
        assert torch.isfinite(value).all()


@pytest.mark.parametrize('wrapper', ['OptimWrapper', 'AmpOptimWrapper'])
def test_the_last_window_may_be_shorter(build_runner, wrapper):
    given = {
        'optim_wrapper': dict(
            _delete_=True,
            type=wrapper,
            optimizer=dict(type='SGD', lr=0.1),
            accumulative_counts=4,
        ),
        'train_cfg.max_iters': 10,
        'custom_hooks': [dict(type='EMAHook', momentum=0.5)],
    }
    runner = build_runner(options=given)
    runner.train()
    (hook,) = [h for h in runner.hooks if type(h).__name__ == 'EMAHook']
    assert hook.ema_model.steps == 3


@pytest.mark.parametrize('flexible', [False, True])
def test_resumed(build_runner, flexible):
    """A FlexibleRunner loads before it tells hooks that a run begins."""
    given = {
        'train_cfg.max_iters': 6,
        'custom_hooks': [
            dict(type='EMAHook', momentum=0.5),
            dict(type='StateHook'),
        ],
    }
    if flexible:
        given['strategy'] = dict(type='SingleDeviceStrategy')
        given['env_cfg'] = dict()
    ends = []
    for start in (None, 'iter_2.pth'):
        if start is not None:
            given['load_from'] = os.path.join(ends[0].work_dir, start)
            given['resume'] = True
        ends.append(build_runner(options=given))
        ends[-1].train()
    states = [
        next(
            h for h in runner.hooks if hasattr(h, 'ema_model')
        ).ema_model.state_dict()
        for runner in ends
    ]
    for name, value in states[0].items():
        assert torch.equal(states[1][name], value), name


def test_asks_the_device_for_nothing(build_runner, monkeypatch):
    """Whether a step was made, and whether it is the first, it decides."""
    reads = []
    original = EMAHook.after_train_iter

    def counted(self, *args, **kwargs):
        with Reads() as of_this:
            original(self, *args, **kwargs)
        reads.append(of_this.number)

    monkeypatch.setattr(EMAHook, 'after_train_iter', counted)
    given = {
        'optim_wrapper.optimizer.fused': True,
        'train_cfg.max_iters': 6,
        'default_hooks.checkpoint': None,
        'custom_hooks': [dict(type='EMAHook', momentum=0.5, begin_iter=2)],
    }
    build_runner(options=given).train()
    assert reads == [0] * 6
