"""Buffers that are one over the ranks."""

import pytest
import torch
from has_fsdp2 import HAS_FSDP2
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import FlexibleRunner, Runner
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmamp.distributed.statistics import unify_buffers
from mmamp.registry import HOOKS, METRICS, MODELS


class Own(nn.Module):
    def __init__(self, rank):
        super().__init__()
        self.register_buffer('vector', torch.full((2,), float(rank)))
        self.register_buffer('count', torch.tensor(rank))
        self.register_buffer('none', None)
        self.register_buffer('small', torch.tensor([rank], dtype=torch.int16))
        self.register_buffer('flag', torch.tensor(bool(rank)))
        self.register_buffer('same', torch.zeros(1).expand(3))
        self.register_buffer('free', torch.tensor(rank), persistent=False)


class Measured(Own):
    rank_statistics = ('vector', 'count')


def unified(rank, world_size):
    norm = nn.BatchNorm2d(2)
    norm.running_mean.fill_(rank)
    norm.running_var = torch.full((2,), 1.0 + rank, dtype=torch.float64)
    shared = nn.Sequential(norm, nn.InstanceNorm1d(2), Own(rank))
    shared.append(norm)  # in two places
    shared.append(Measured(rank))
    unify_buffers(shared)
    return {k: v.clone() for k, v in shared.named_buffers()}


def test_means_of_statistics_and_the_firsts_of_others(in_ranks):
    for rank, buffers in enumerate(in_ranks(2, unified)):
        assert buffers['0.running_mean'].tolist() == [0.5, 0.5]
        assert buffers['0.running_var'].tolist() == [1.5, 1.5]
        assert buffers['2.vector'].tolist() == [0.0, 0.0]
        assert buffers['2.count'] == buffers['2.small'] == 0
        assert not buffers['2.flag']
        assert buffers['2.free'] == rank
        assert buffers['4.vector'].tolist() == [0.5, 0.5]
        # There is no mean of whole numbers.
        assert buffers['4.count'] == 0


def ignored(rank, world_size):
    model = nn.Linear(1, 1)
    model.own = Own(rank)
    # What DDP itself cannot send.
    del model.own.same, model.own.small
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(
        model, ['own.vector']
    )
    wrapped = DistributedDataParallel(model)
    model.own.count.fill_(rank)
    unify_buffers(wrapped)
    return [model.own.vector.tolist(), int(model.own.count)]


def test_what_ddp_was_told_to_ignore(in_ranks):
    assert in_ranks(2, ignored) == [[[0.0, 0.0], 0], [[1.0, 1.0], 0]]


@MODELS.register_module(force=True)
class Normed(BaseModel):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)
        )

    def forward(self, inputs, data_samples=None, mode='tensor'):
        error = (self.body(inputs) - inputs.sum(1, keepdim=True)).pow(2)
        if mode == 'loss':
            return dict(loss=error.mean())
        return [dict(error=float(x)) for x in error]


@METRICS.register_module(force=True)
class Errors(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [x['error'] for x in data_samples]

    def compute_metrics(self, results):
        return dict(error=sum(results) / len(results))


@HOOKS.register_module(force=True)
class Scores(Hook):
    def __init__(self):
        self.found = {}

    def after_val_epoch(self, runner, metrics=None):
        self.found[str(runner.iter)] = metrics['error']


def runner_of(work_dir, world_size, strategy=None, hooks=(), **kwargs):
    several = world_size > 1
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(32, 4, generator=generator) * torch.arange(32)[:, None]
    loader = dict(
        batch_size=4,
        num_workers=0,
        collate_fn=dict(type='default_collate'),
        dataset=[dict(inputs=x) for x in data],
    )
    cfg = Config(
        dict(
            default_scope='mmamp',
            work_dir=str(work_dir),
            launcher='pytorch' if several else 'none',
            env_cfg=dict(),
            model=dict(type='mmamp.Normed'),
            optim_wrapper=dict(
                type='mmamp.AmpOptimWrapper',
                dtype='float32',
                optimizer=dict(type='Adam', lr=0.02),
            ),
            train_cfg=dict(by_epoch=False, max_iters=12, val_interval=4),
            val_cfg=dict(),
            val_evaluator=dict(type='mmamp.Errors'),
            custom_hooks=[dict(type='StateHook'), *hooks],
            default_hooks=dict(
                checkpoint=dict(
                    type='CheckpointHook',
                    interval=2,
                    by_epoch=False,
                    save_best='error',
                    rule='less',
                )
            ),
            log_level='ERROR',
            randomness=dict(seed=0),
            **kwargs,
        )
    )
    cfg.train_dataloader = dict(
        loader, sampler=dict(type='InfiniteSampler', shuffle=False)
    )
    cfg.val_dataloader = dict(
        loader, sampler=dict(type='DefaultSampler', shuffle=False)
    )
    if strategy is not None:
        cfg.strategy = dict(strategy)
    elif several:
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
        )
    kind = Runner if strategy is None else FlexibleRunner
    return kind.from_cfg(cfg)


def scored(rank, world_size, work_dir, strategy, kwargs):
    kwargs = dict(kwargs)
    hooks = [*kwargs.pop('hooks'), dict(type='Scores')]
    runner = runner_of(work_dir, world_size, strategy, hooks, **kwargs)
    (scores,) = [x for x in runner.hooks if isinstance(x, Scores)]
    runner.train()
    info = runner.message_hub.runtime_info
    return dict(scores=scores.found, best=info['best_ckpt'])


@pytest.mark.parametrize(
    'strategy',
    [
        None,
        pytest.param(
            dict(type='mmamp.FSDP2Strategy'),
            marks=pytest.mark.skipif(not HAS_FSDP2, reason='no FSDP2'),
        ),
    ],
)
@pytest.mark.parametrize('ema', [False, True])
def test_a_score_is_that_of_its_checkpoint(in_ranks, tmp_path, strategy, ema):
    if ema and strategy:
        pytest.skip('an average of what is sharded is a part of the model')
    hooks = [dict(type='EMAHook', momentum=0.3, update_buffers=True)] * ema
    kwargs = dict(hooks=hooks)
    run = tmp_path / 'run'
    one, other = in_ranks(2, scored, run, strategy, kwargs)
    assert one == other
    assert len(one['scores']) == 3
    for iteration, score in one['scores'].items():
        runner = runner_of(
            tmp_path / 'alone',
            1,
            hooks=[dict(type='Scores')],
            load_from=str(run / f'iter_{iteration}.pth'),
        )
        assert runner.val()['error'] == pytest.approx(score, rel=1e-5)
    # Nor does it matter whether the run was resumed.
    again = in_ranks(
        2,
        scored,
        run,
        strategy,
        dict(kwargs, load_from=str(run / 'iter_6.pth'), resume=True),
    )
    assert again[0]['scores']['8'] == one['scores']['8']
    assert again[1]['best'] == other['best']
