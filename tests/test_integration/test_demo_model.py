"""A user's own model, written as MMEngine's migration guide shows it."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import Runner
from torch import nn

import mmamp  # noqa: F401


@MODELS.register_module(force=True)
class DemoModel(BaseModel):
    """Overrides `train_step`: nothing of mmamp's in it."""

    def __init__(self):
        super().__init__()
        self.network = nn.Linear(4, 1)
        self.seen = []

    def forward(self, inputs, mode='tensor'):
        return self.network(inputs)

    def train_step(self, data, optim_wrapper):
        data = self.data_preprocessor(data)
        with optim_wrapper.optim_context(self.network):
            prediction = self.network(data['inputs'])
            self.seen.append(prediction.dtype)
            losses = dict(loss=(prediction.float() - 1).pow(2).mean())
        loss, log_vars = self.parse_losses(losses)
        optim_wrapper.update_params(loss)
        return log_vars


@DATASETS.register_module(force=True)
class Ones(torch.utils.data.Dataset):
    metainfo = dict()

    def __len__(self):
        return 64

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return dict(inputs=torch.randn(4, generator=generator))


def run(tmp_path, optim_wrapper, **kwargs):
    cfg = Config(
        dict(
            custom_imports=dict(imports=['mmamp']),
            model=dict(type='DemoModel'),
            work_dir=str(tmp_path),
            train_dataloader=dict(
                batch_size=8,
                dataset=dict(type='Ones'),
                sampler=dict(type='InfiniteSampler', shuffle=True),
                collate_fn=dict(type='default_collate'),
            ),
            train_cfg=dict(by_epoch=False, max_iters=24),
            optim_wrapper=optim_wrapper,
            randomness=dict(seed=0),
            **kwargs,
        )
    )
    runner = Runner.from_cfg(cfg)
    runner.train()
    return runner


@pytest.mark.parametrize('scope', ['mmengine', 'mmamp'])
@pytest.mark.parametrize(
    ('dtype', 'expected'),
    [
        (None, torch.bfloat16),
        ('float16', torch.float16),
        ('float32', torch.float32),
    ],
)
def test_trains_under_the_runner(tmp_path, scope, dtype, expected):
    runner = run(
        tmp_path,
        dict(
            type='mmamp.AmpOptimWrapper',
            dtype=dtype,
            loss_scale='dynamic',
            accumulative_counts=2,
            optimizer=dict(type='Adam', lr=0.1),
        ),
        default_scope=scope,
    )
    assert set(runner.model.seen) == {expected}
    losses = runner.message_hub.get_scalar('train/loss').data[0]
    assert losses[-1] < losses[0]
    assert runner.optim_wrapper.record.windows == 12
    # The first scale, 65536, may be too large for float16.
    assert runner.optim_wrapper.record.skipped <= (dtype == 'float16')


def test_constructor_by_scoped_name_with_schedulers(tmp_path):
    """From a config of another scope, a learning rate for each network."""
    runner = run(
        tmp_path,
        dict(
            type='mmamp.AmpOptimWrapper',
            constructor='mmamp.OptimWrapperConstructor',
            modules=['net.*'],
            optimizer=dict(type='SGD', lr=0.1),
        ),
        default_scope='mmengine',
        param_scheduler=dict(
            type='MultiStepLR', milestones=[10], by_epoch=False, gamma=0.1
        ),
    )
    assert runner.optim_wrapper.get_lr()['lr'] == [pytest.approx(0.01)]
