"""What is frozen when training begins, and thawed later."""

import pytest
import torch
from has_fsdp2 import HAS_FSDP2
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import FlexibleRunner, Runner
from sam import SAM
from torch import nn

from mmamp.registry import HOOKS, MODELS, OPTIMIZERS

FSDP2 = pytest.param(
    dict(type='mmamp.FSDP2Strategy'),
    marks=pytest.mark.skipif(not HAS_FSDP2, reason='no FSDP2'),
)


@MODELS.register_module(force=True)
class Frozen(BaseModel):
    """Its first layer is frozen."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 1)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for param in self.parameters():
                param.copy_(torch.randn(param.shape, generator=generator))
        self.first.requires_grad_(False)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=self.second(self.first(inputs).relu()).pow(2).mean())


@MODELS.register_module(force=True)
class FrozenNetwork(Frozen):
    """Of two networks, of which the first is frozen."""

    def train_step(self, data, optim_wrapper):
        data = self.data_preprocessor(data, True)
        with optim_wrapper.optim_context(self):
            loss = self(**data)['loss']
        optim_wrapper.update_params(loss)
        return dict(loss=loss)


@HOOKS.register_module(force=True)
class Thaw(Hook):
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == 2:
            for name, param in runner.model.named_parameters():
                if 'first' in name:
                    param.requires_grad_(True)


def thawed(rank, world_size, work_dir, kind, strategy, optimizer=None):
    several = world_size > 1
    cfg = Config(
        dict(
            default_scope='mmamp',
            work_dir=str(work_dir),
            launcher='pytorch' if several else 'none',
            env_cfg=dict(),
            model=dict(type=f'mmamp.{kind}'),
            optim_wrapper=dict(
                type='mmamp.AmpOptimWrapper',
                dtype='float32',
                accumulative_counts=2,
                optimizer=optimizer or dict(type='SGD', lr=0.05, momentum=0.9),
            ),
            train_cfg=dict(by_epoch=False, max_iters=8),
            custom_hooks=[dict(type='Thaw')],
            default_hooks=dict(
                checkpoint=dict(
                    type='CheckpointHook', interval=4, by_epoch=False
                )
            ),
        )
    )
    cfg.train_dataloader = dict(
        batch_size=8 // world_size,
        num_workers=0,
        sampler=dict(type='InfiniteSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=[dict(inputs=torch.arange(4.0) + i) for i in range(16)],
    )
    if strategy is not None:
        cfg.strategy = dict(strategy)
    elif several:
        cfg.model_wrapper_cfg = (
            dict(type='mmamp.SeparateDistributedDataParallel')
            if kind == 'FrozenNetwork'
            else dict(type='MMDistributedDataParallel', device_ids=None)
        )
    runner = (Runner if strategy is None else FlexibleRunner).from_cfg(cfg)
    runner.train()
    log = '\n'.join(x.read_text() for x in sorted(work_dir.glob('*/*.log')))
    return dict(
        log=log,
        weights={
            name.replace('module.', ''): (
                param.full_tensor() if hasattr(param, 'full_tensor') else param
            ).detach()
            for name, param in runner.model.named_parameters()
        },
    )


@pytest.mark.parametrize('kind', ['Frozen', 'FrozenNetwork'])
@pytest.mark.parametrize('strategy', [None, FSDP2])
def test_ranks_train_it_together(in_ranks, tmp_path, kind, strategy):
    alone = thawed(0, 1, tmp_path / 'alone', kind, None)
    ranks = in_ranks(2, thawed, tmp_path / 'ranks', kind, strategy)
    for rank in ranks:
        for name, weight in alone['weights'].items():
            torch.testing.assert_close(rank['weights'][name], weight)
    moved = alone['weights']['first.weight'] - Frozen().first.weight
    assert moved.abs().max() > 1e-3
    knows = kind == 'Frozen' and strategy is not None  # sharded with the rest
    assert (
        '2 parameters were frozen when training began' in ranks[0]['log']
    ) is not knows


def test_of_an_optimizer_that_computes_losses_again(in_ranks, tmp_path):
    """Those of its own backward passes too."""
    args = 'Frozen', None, dict(type='SAM', lr=0.05)
    alone = sam_thawed(0, 1, tmp_path / 'alone', *args)
    for rank in in_ranks(2, sam_thawed, tmp_path / 'ranks', *args):
        for name, weight in alone['weights'].items():
            torch.testing.assert_close(rank['weights'][name], weight)


def sam_thawed(*args):
    OPTIMIZERS.register_module(module=SAM, force=True)
    return thawed(*args)
