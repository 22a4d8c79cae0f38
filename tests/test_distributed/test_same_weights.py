"""Ranks whose weights have parted."""

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmamp.distributed.same_weights import first_difference, trained_by_all
from mmamp.errors import PartedRanksError
from mmamp.registry import HOOKS, MODELS


def differences(rank, world_size):
    torch.manual_seed(0)
    found = []

    def compare(params):
        found.append(first_difference(params))

    params = {
        name: nn.Parameter(torch.randn(64).to(dtype))
        for name, dtype in dict(
            a=torch.float32,
            b=torch.float64,
            c=torch.bfloat16,
            d=torch.float16,
            e=torch.complex64,
        ).items()
    }
    compare(params)
    compare({})
    for name, param in params.items():
        kept = param.detach().clone()
        with torch.no_grad():
            if rank:
                param[5] = param[5] * 1.01
        compare(params)
        with torch.no_grad():
            param.copy_(kept)
        assert param.dtype != torch.float32 or name == 'a'
    with torch.no_grad():
        params['b'][0] = rank
        params['d'][0] = rank
    compare(params)
    return found


def test_the_first_that_differs(in_ranks):
    expected = [None, None, *(('abcde'[i], 1) for i in range(5)), ('b', 2)]
    for rank in in_ranks(2, differences):
        assert rank == expected


def ignored(rank, world_size):
    model = nn.ModuleDict(dict(own=nn.Linear(2, 2), shared=nn.Linear(2, 2)))
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(
        model, ['own.weight', 'own.bias']
    )
    wrapped = DistributedDataParallel(model)
    return sorted(trained_by_all(wrapped, wrapped.parameters()))


def test_what_a_rank_shall_have_of_its_own(in_ranks):
    for rank in in_ranks(2, ignored):
        assert rank == ['shared.bias', 'shared.weight']


@MODELS.register_module(force=True)
class Plain(BaseModel):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return dict(loss=self.body(inputs).pow(2).mean())


@HOOKS.register_module(force=True)
class Part(Hook):
    """Changes a weight of one rank, by little."""

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        if runner.iter == 2 and runner.rank == 1:
            with torch.no_grad():
                runner.model.module.body.weight.mul_(1 + 1e-6)


def parts(rank, world_size, work_dir):
    cfg = Config(
        dict(
            default_scope='mmamp',
            work_dir=str(work_dir),
            launcher='pytorch',
            model=dict(type='mmamp.Plain'),
            optim_wrapper=dict(
                type='mmamp.AmpOptimWrapper',
                dtype='float32',
                optimizer=dict(type='SGD', lr=0.01),
            ),
            train_cfg=dict(by_epoch=False, max_iters=4),
            custom_hooks=[dict(type='Part')],
            default_hooks=dict(
                checkpoint=dict(
                    type='CheckpointHook', interval=2, by_epoch=False
                )
            ),
            model_wrapper_cfg=dict(
                type='MMDistributedDataParallel', device_ids=None
            ),
            log_level='ERROR',
        )
    )
    cfg.train_dataloader = dict(
        batch_size=4,
        num_workers=0,
        sampler=dict(type='InfiniteSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=[dict(inputs=torch.arange(4.0) + i) for i in range(16)],
    )
    runner = Runner.from_cfg(cfg)
    with pytest.raises(PartedRanksError) as raised:
        runner.train()
    return str(raised.value)


def test_no_checkpoint_of_weights_that_differ(in_ranks, tmp_path):
    for text in in_ranks(2, parts, tmp_path):
        assert 'body.weight is not the same on all 2 ranks' in text
        assert text.endswith('iter_2.pth')
    assert sorted(x.name for x in tmp_path.glob('*.pth')) == ['iter_2.pth']
