"""Optimizers that are more than ``step()``, in MMEngine's loops."""

import json

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import OPTIMIZERS
from mmengine.runner import Runner
from sam import SAM
from schedule_free import Lookahead, ScheduleFreeSGD
from torch import nn

from mmamp import test, train
from mmamp.registry import DATASETS, METRICS, MODELS

for kind in (ScheduleFreeSGD, Lookahead, SAM):
    OPTIMIZERS.register_module(name=f'Test{kind.__name__}', module=kind)


@MODELS.register_module()
class OptimizersModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(4, 8), nn.Tanh(), nn.Dropout(0.1), nn.Linear(8, 1)
        )

    blows_up = False

    def forward(self, inputs, target, mode='tensor'):
        error = (self.body(inputs).float() - target).square()
        if self.blows_up:
            error = error * torch.inf
        return dict(loss=error.mean()) if mode == 'loss' else list(error)


@METRICS.register_module()
class SquaredError(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [float(x) for x in data_samples]

    def compute_metrics(self, results):
        return dict(error=sum(results) / len(results))


class BlowUp(Hook):
    """The loss of one iteration is not finite."""

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        runner.model.blows_up = runner.iter == 2


def items(num):
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(num, 4, generator=generator)
    target = inputs @ torch.randn(4, 1, generator=generator)
    return [
        dict(inputs=x, target=y) for x, y in zip(inputs, target, strict=True)
    ]


@DATASETS.register_module()
class OptimizersData(torch.utils.data.Dataset):
    def __init__(self, num):
        self.items = items(num)

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def runner_of(
    folder,
    optimizer,
    val_interval=4,
    hooks=(),
    dtype='bfloat16',
    entry=(),
    **kwargs,
):
    loader = dict(
        batch_size=8, num_workers=0, collate_fn=dict(type='default_collate')
    )
    data = dict(dataset=items(64), **loader)
    return Runner(
        model=dict(type='OptimizersModel'),
        work_dir=str(folder),
        train_dataloader=dict(
            data, sampler=dict(type='InfiniteSampler', shuffle=True)
        ),
        val_dataloader=dict(
            data, sampler=dict(type='DefaultSampler', shuffle=False)
        ),
        val_evaluator=dict(type='SquaredError'),
        val_cfg=dict(),
        train_cfg=dict(
            by_epoch=False, max_iters=12, val_interval=val_interval
        ),
        optim_wrapper=dict(
            type='mmamp.AmpOptimWrapper',
            dtype=dtype,
            loss_scale=256.0,
            accumulative_counts=2,
            clip_grad=dict(max_norm=1.0),
            optimizer=optimizer,
            **dict(entry),
        ),
        default_hooks=dict(
            checkpoint=dict(
                type='mmamp.CheckpointHook', interval=5, by_epoch=False
            ),
            runtime_info=dict(type='mmamp.RuntimeInfoHook'),
        ),
        custom_hooks=[dict(type='mmamp.StateHook'), *hooks],
        default_scope='mmamp',
        randomness=dict(seed=0),
        **kwargs,
    )


DTYPES = ['float32', 'bfloat16', 'float16']
OF_TRAINING = [
    dict(type='TestScheduleFreeSGD', lr=0.2),
    dict(type='TestLookahead', lr=0.2),
    dict(type='TestLookahead', lr=0.2, pair=True),
]
ALL = [*OF_TRAINING, dict(type='TestSAM', lr=0.2, momentum=0.9)]
EMA = dict(type='mmamp.EMAHook', momentum=0.3)


def weights(runner):
    return {k: v.clone() for k, v in runner.model.state_dict().items()}


def assert_same(one, other):
    torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize('optimizer', OF_TRAINING)
@pytest.mark.parametrize('hooks', [(), (EMA,)])
def test_a_checkpoint_is_what_was_validated(optimizer, hooks, tmp_path):
    run = runner_of(tmp_path, dict(optimizer), val_interval=5, hooks=hooks)
    run.train()
    (scores,) = run.message_hub.get_scalar('val/error').data[:1]
    for step, score in zip((5, 10), scores, strict=False):
        other = runner_of(
            tmp_path / 'test',
            dict(optimizer),
            hooks=hooks,
            experiment_name=f'test{step}',
        )
        other.load_checkpoint(str(tmp_path / f'iter_{step}.pth'))
        other.load_or_resume = lambda: None
        found = other.val()
        assert found['error'] == pytest.approx(score, rel=1e-6)


@pytest.mark.parametrize('optimizer', ALL)
def test_validation_leaves_training_as_it_was(optimizer, tmp_path):
    """Its average too."""
    often = runner_of(tmp_path / 'a', dict(optimizer), 1, [EMA])
    often.train()
    never = runner_of(
        tmp_path / 'b', dict(optimizer), 100, [EMA], experiment_name='b'
    )
    never.train()
    assert_same(weights(often), weights(never))
    averages = [
        hook.ema_model.state_dict()
        for run in (often, never)
        for hook in run.hooks
        if hasattr(hook, 'ema_model')
    ]
    assert_same(*map(dict, averages))


def assert_goes_on_exactly(tmp_path, optimizer, step, **kwargs):
    """Compare a run with one that goes on from its checkpoint."""
    whole = runner_of(
        tmp_path / 'a', dict(optimizer), 4, [EMA, BlowUp()], **kwargs
    )
    whole.train()
    resumed = runner_of(
        tmp_path / 'b',
        dict(optimizer),
        4,
        [EMA],
        experiment_name='b',
        load_from=str(tmp_path / 'a' / f'iter_{step}.pth'),
        resume=True,
        **kwargs,
    )
    resumed.train()
    assert_same(weights(whole), weights(resumed))
    for run in (whole, resumed):
        assert run.optim_wrapper.skipped_steps == 1
        assert run.optim_wrapper.record.windows == 6


@pytest.mark.parametrize(
    ('optimizer', 'step'),
    # Iteration 5 is inside of a window; SAM cannot compute its loss again.
    [*((x, 5) for x in OF_TRAINING), *((x, 10) for x in ALL)],
)
def test_a_run_goes_on_exactly(optimizer, step, tmp_path):
    assert_goes_on_exactly(tmp_path, optimizer, step)


@pytest.mark.parametrize('dtype', DTYPES)
def test_sam_in_every_dtype(dtype, tmp_path):
    assert_goes_on_exactly(tmp_path, ALL[-1], 10, dtype=dtype)


@pytest.mark.skipif(
    not hasattr(torch.optim, 'Muon'), reason='this torch has no Muon'
)
@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize('step', [5, 10])
def test_muon_beside_adamw(dtype, step, tmp_path):
    assert_goes_on_exactly(
        tmp_path,
        dict(type='Muon', lr=0.02),
        step,
        dtype=dtype,
        entry=dict(
            constructor='mmamp.DefaultOptimWrapperConstructor',
            param_groups=[
                dict(dims=[2]),
                dict(optimizer=dict(type='AdamW', lr=0.02)),
            ],
        ),
    )


CONFIG = """
model = dict(type='OptimizersModel')
_loader = dict(
    batch_size=8,
    num_workers=0,
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='OptimizersData', num=64))
train_dataloader = dict(
    _loader, sampler=dict(type='InfiniteSampler', shuffle=True))
val_dataloader = dict(
    _loader, sampler=dict(type='DefaultSampler', shuffle=False))
test_dataloader = val_dataloader
val_evaluator = test_evaluator = dict(type='SquaredError')
val_cfg = test_cfg = dict()
train_cfg = dict(by_epoch=False, max_iters=10, val_interval=5)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', interval=5, by_epoch=False))
log_processor = dict(by_epoch=False)
default_scope = 'mmamp'
randomness = dict(seed=0)
"""


def run_commands(folder, optimizer, dtype, hooks):
    """Train by the command; return scores of iterations 5 and 10, twice."""
    config = folder / 'config.py'
    wrapper = dict(
        type='AmpOptimWrapper',
        dtype=dtype,
        accumulative_counts=2,
        optimizer=optimizer,
    )
    config.write_text(
        f'{CONFIG}optim_wrapper = {wrapper}\ncustom_hooks = {hooks}\n'
    )
    assert train.main([str(config), '--work-dir', str(folder / 'run')]) == 0
    (scalars,) = folder.glob('run/*/vis_data/scalars.json')
    lines = map(json.loads, scalars.read_text().splitlines())
    validated = [x['error'] for x in lines if 'error' in x]
    tested = []
    for step in (5, 10):
        checkpoint = str(folder / f'run/iter_{step}.pth')
        args = [str(config), checkpoint, '--work-dir', str(folder / f'{step}')]
        args += ['--cfg-options', f'experiment_name=test{step}']
        assert test.main(args) == 0
        (scores,) = folder.glob(f'{step}/*/*.json')
        tested.append(json.loads(scores.read_text())['error'])
    return validated, tested


@pytest.mark.parametrize('optimizer', OF_TRAINING)
@pytest.mark.parametrize('hooks', [[], [EMA]])
def test_the_test_command_scores_what_training_validated(
    optimizer, hooks, tmp_path
):
    """Of a checkpoint inside of a window, and of one after it."""
    dtype = 'float16' if hooks else 'bfloat16'
    validated, tested = run_commands(tmp_path, optimizer, dtype, hooks)
    assert len(validated) == 2
    assert tested == pytest.approx(validated, rel=1e-6)
