"""Ranks with other numbers of batches."""

import pytest
import torch
from has_fsdp2 import HAS_FSDP2
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import FlexibleRunner, Runner
from torch import nn
from torch.utils.data import Sampler

from mmamp.errors import UsageError
from mmamp.registry import DATA_SAMPLERS, METRICS, MODELS


@DATA_SAMPLERS.register_module(force=True)
class Unequal(Sampler):
    """One more for each rank."""

    def __init__(self, dataset, number, seed=None):
        self.number = number

    def __iter__(self):
        return iter(range(self.number))

    def __len__(self):
        return self.number


@MODELS.register_module(force=True)
class Small(BaseModel):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        y = self.body(inputs)
        return dict(loss=y.mean()) if mode == 'loss' else [*y]


@METRICS.register_module(force=True)
class Number(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [1 for _ in data_samples]

    def compute_metrics(self, results):
        return dict(number=len(results))


STOCK = dict(type='DefaultSampler', shuffle=False, round_up=False)
ROUND = dict(type='DefaultSampler', shuffle=False)
OWN = dict(type='mmamp.Unequal')


def number_of_scored(rank, world_size, work_dir, train, val, strategy):
    def loader(sampler):
        sampler = dict(sampler)
        if sampler['type'] == 'mmamp.Unequal':
            sampler['number'] = 4 + rank
        return dict(
            batch_size=1,
            num_workers=0,
            collate_fn=dict(type='default_collate'),
            dataset=[dict(inputs=torch.ones(4)) for _ in range(9)],
            sampler=sampler,
        )

    cfg = Config(
        dict(
            default_scope='mmamp',
            work_dir=str(work_dir),
            launcher='pytorch',
            env_cfg=dict(),
            model=dict(type='mmamp.Small'),
            optim_wrapper=dict(
                type='mmamp.AmpOptimWrapper',
                dtype='float32',
                optimizer=dict(type='SGD', lr=0.01),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=1),
            val_cfg=dict(),
            val_evaluator=dict(type='mmamp.Number'),
            custom_hooks=[dict(type='StateHook')],
            default_hooks=dict(checkpoint=None),
            log_level='ERROR',
        )
    )
    cfg.train_dataloader, cfg.val_dataloader = loader(train), loader(val)
    if strategy:
        cfg.strategy = strategy
    else:
        cfg.model_wrapper_cfg = dict(
            type='MMDistributedDataParallel', device_ids=None
        )
    runner = (FlexibleRunner if strategy else Runner).from_cfg(cfg)
    try:
        runner.train()
    except UsageError as error:
        return str(error)
    return int(runner.message_hub.get_scalar('val/number').current())


SHARDED = dict(type='mmamp.FSDP2Strategy')


@pytest.mark.parametrize(
    ('train', 'val', 'strategy', 'expected'),
    [
        (OWN, ROUND, None, 'train_dataloader: .* of batches (0: 4, 1: 5)'),
        (STOCK, ROUND, None, 'train_dataloader: .* of batches (0: 5, 1: 4)'),
        (ROUND, STOCK, None, 9),
        (ROUND, ROUND, SHARDED, 9),
        (ROUND, STOCK, SHARDED, 'val_dataloader: .* of batches (0: 5, 1: 4)'),
    ],
)
def test_an_error_at_the_start_or_all_is_scored(
    in_ranks, tmp_path, train, val, strategy, expected
):
    if strategy and not HAS_FSDP2:
        pytest.skip('no FSDP2')
    args = tmp_path, train, val, strategy
    for found in in_ranks(2, number_of_scored, *args):
        if isinstance(expected, int):
            assert found == expected
        else:
            key, _, numbers = expected.partition('.*')
            assert found.startswith(key)
            assert numbers in found
