"""Models that plans have something to say of."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from torch import nn

from mmamp.plan.rows import Aim, checkpointed, row_of
from mmamp.registry import MODELS


@MODELS.register_module(force=True)
class PlannedModel(BaseModel):
    """Does with its logits what it is told."""

    def __init__(self, does='nothing', width=64):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.network = nn.Sequential(
            nn.Linear(1024, width), nn.ReLU(), nn.Linear(width, 10)
        )
        self.does = does

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.network(inputs.flatten(1))

    def train_step(self, data, optim_wrapper):
        batch = self.data_preprocessor(data, True)
        with optim_wrapper.optim_context(self):
            logits = self(batch['inputs'])
            loss = getattr(self, f'loss_{self.does}')(logits)
        optim_wrapper.update_params(loss)
        return dict(loss=loss)

    def loss_nothing(self, logits):
        return logits.square().mean()

    def loss_refused(self, logits):
        target = torch.zeros_like(logits)
        return nn.functional.binary_cross_entropy(logits.sigmoid(), target)

    def loss_branch(self, logits):
        if logits.mean() > 0:
            return logits.square().mean()
        return logits.abs().mean()

    def loss_shape(self, logits):
        return logits[logits > 0].sum()

    def loss_mismatch(self, logits):
        return (logits @ logits.new_zeros(10, 1).double()).sum()


def config(**model):
    return Config(
        dict(
            default_scope='mmamp',
            model=dict(type='PlannedModel', **model),
            train_cfg=dict(by_epoch=False, max_iters=10),
            train_dataloader=dict(
                batch_size=8,
                sampler=dict(type='InfiniteSampler'),
                collate_fn=dict(type='mmamp.default_collate'),
                dataset=dict(
                    type='DigitsDataset',
                    pipeline=[
                        dict(type='Resize', scale=(32, 32)),
                        dict(type='PackImage'),
                    ],
                ),
            ),
            optim_wrapper=dict(
                type='AmpOptimWrapper',
                optimizer=dict(type='Adam', lr=1e-3),
                dtype='bfloat16',
            ),
        )
    )


def planned(dtype='float16', device='cuda', **model):
    return row_of(config(**model), dtype, 'none', Aim(device, 1))


def test_one_network():
    row = planned('float32')
    assert row['failed'] is row['needs_values'] is None
    params = 1024 * 64 + 64 + 64 * 10 + 10
    parts = row['peak']['parts']
    # Rounded up to 512 bytes each, by CUDA's allocator.
    assert 4 * params <= parts['weights'] < 4 * params + 4 * 512
    assert 8 * params <= parts['optimizer state'] < 8 * params + 16 * 512
    (work,) = row['compute']
    macs = 8 * (1024 * 64 + 64 * 10)
    # The input of the first layer needs no gradient.
    assert work['multiply_adds'] == 3 * macs - 8 * 1024 * 64


def test_what_autocast_refuses():
    row = planned(does='refused')
    (refused,) = row['autocast']['refused']
    assert refused['operator'] == 'binary_cross_entropy'
    assert refused['place'].startswith(__file__)
    assert planned(does='refused', device='cpu')['autocast']['refused'] == []


@pytest.mark.parametrize('does', ['branch', 'shape'])
def test_what_needs_numbers_is_told_and_run_on_real_tensors(does):
    row = planned(does=does)
    assert row['failed'] is None
    assert row['needs_values'].startswith(f'{__file__}:')
    assert row['peak']['total'] > 0


def test_a_dtype_that_does_not_fit():
    row = planned(does='mismatch')
    assert 'dtype' in row['failed']


def test_checkpointing_keeps_less():
    module = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    x = torch.randn(2, 4, requires_grad=True)
    (expected,) = torch.autograd.grad(module(x).sum(), x)
    with checkpointed(module):
        (found,) = torch.autograd.grad(module(x).sum(), x)
    assert torch.equal(found, expected)
