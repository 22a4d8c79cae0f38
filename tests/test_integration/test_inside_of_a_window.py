"""Who looks at a model inside of an accumulation window."""

import os

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmamp.registry import METRICS, MODELS


@MODELS.register_module()
class InWindow(BaseModel):
    """Its first forward pass of a window may spoil its statistics."""

    def __init__(self, bad_calls=()):
        super().__init__()
        self.norm, self.layer = nn.BatchNorm1d(4), nn.Linear(4, 1)
        self.bad_calls, self.calls = bad_calls, 0

    def forward(self, x, mode='tensor'):
        if mode != 'loss':
            return [int(self.norm.num_batches_tracked)] * len(x)
        self.calls += 1
        if self.calls in self.bad_calls:
            x = x * float('inf')
        return dict(loss=self.layer(self.norm(x)).mean())


@METRICS.register_module()
class TrackedBatches(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(tracked=float(results[0]))


def collate(items):
    return dict(x=torch.stack(items))


@pytest.fixture
def train(tmp_path):
    """Three iterations in windows of two, then validation."""

    def run(bad_calls=(), **checkpoint):
        torch.manual_seed(0)
        data = DataLoader(torch.randn(12, 4), 4, collate_fn=collate)
        runner = Runner(
            model=dict(type='InWindow', bad_calls=bad_calls),
            work_dir=str(tmp_path / 'run'),
            train_dataloader=data,
            val_dataloader=DataLoader(
                torch.randn(4, 4), 4, collate_fn=collate
            ),
            val_evaluator=dict(type='TrackedBatches'),
            train_cfg=dict(by_epoch=True, max_epochs=2),
            val_cfg=dict(),
            optim_wrapper=dict(
                type='AmpOptimWrapper',
                dtype='float32',
                accumulative_counts=2,
                optimizer=dict(type='SGD', lr=0.1),
            ),
            default_hooks=dict(
                checkpoint=dict(
                    type='CheckpointHook', interval=1, **checkpoint
                )
            ),
            custom_hooks=[dict(type='StateHook')],
            default_scope='mmamp',
            experiment_name=tmp_path.name,
        )
        runner.train()
        return runner

    return run


def tracked(runner, start):
    (name,) = [x for x in os.listdir(runner.work_dir) if x.startswith(start)]
    path = os.path.join(runner.work_dir, name)
    state = torch.load(path, weights_only=True)
    norm = {k: v for k, v in state['state_dict'].items() if 'norm.' in k}
    return int(norm['norm.num_batches_tracked']), norm, state


def test_validation_scores_what_the_best_checkpoint_holds(train):
    """Of 3 batches an epoch, the last of the first epoch is in no step yet."""
    runner = train(save_best='tracked', rule='greater', max_keep_ckpts=5)
    scores = runner.message_hub.get_scalar('val/tracked').data[0]
    assert scores.tolist() == [2, 6]
    assert tracked(runner, 'epoch_1')[0] == 2
    assert tracked(runner, 'best_')[0] == 6
    window = tracked(runner, 'epoch_1')[2]['optimizer']['window']
    assert [int(x.view(-1)[-1]) for x in window['buffers']['before']][1] == 2
    assert [int(x.view(-1)[-1]) for x in window['buffers']['after']][1] == 3
    # Training went on with what it had.
    assert runner.model.norm.num_batches_tracked == 6


@pytest.mark.parametrize('bad', [3, 4])
def test_a_checkpoint_holds_nothing_that_nobody_judged(train, bad):
    runner = train(bad_calls=(bad,))
    number, norm, _ = tracked(runner, 'epoch_1')
    assert number == 2
    assert all(value.isfinite().all() for value in norm.values())
    number, norm, _ = tracked(runner, 'epoch_2')
    assert number == 4
    assert all(value.isfinite().all() for value in norm.values())
