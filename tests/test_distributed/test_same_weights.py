"""Ranks whose weights have parted."""

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mmamp import AmpOptimWrapper
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
    for param in params.values():
        kept = param.detach().clone()
        with torch.no_grad():
            if rank:
                param[5] = param[5] * 1.01
        compare(params)
        with torch.no_grad():
            param.copy_(kept)
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


def runner_that_parts(work_dir, **checkpoint):
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
                    type='CheckpointHook',
                    interval=2,
                    by_epoch=False,
                    **checkpoint,
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
    return Runner.from_cfg(cfg)


def parts(rank, world_size, work_dir):
    runner = runner_that_parts(work_dir)
    with pytest.raises(PartedRanksError) as raised:
        runner.train()
    return str(raised.value)


def parts_unchecked(rank, world_size, work_dir):
    runner_that_parts(work_dir, check_ranks=False).train()


def test_no_checkpoint_of_weights_that_differ(in_ranks, tmp_path):
    for text in in_ranks(2, parts, tmp_path):
        assert 'at iteration 3 body.weight is not the same on all 2' in text
        assert 'iter_2.pth. Where ranks shall differ' in text
    assert sorted(x.name for x in tmp_path.glob('*.pth')) == ['iter_2.pth']


class Noisy(torch.optim.SGD):
    """Langevin dynamics, say."""

    @torch.no_grad()
    def step(self, closure=None):
        super().step(closure)
        for group in self.param_groups:
            for param in group['params']:
                param.add_(torch.randn_like(param), alpha=0.01)


def noisy(rank, world_size):
    torch.manual_seed(0)
    model = DistributedDataParallel(nn.Linear(4, 1))
    wrapper = AmpOptimWrapper(Noisy(model.parameters(), 0.1), dtype='float32')
    torch.manual_seed(rank)
    before = torch.get_rng_state()
    weights = []
    for _ in range(2):
        with wrapper.optim_context(model):
            loss = model(torch.ones(2, 4)).mean()
        wrapper.update_params(loss)
        weights.append(model.module.weight.detach().clone())
    assert torch.equal(before, torch.get_rng_state())
    return [first_difference(dict(model.named_parameters())), *weights]


def test_an_optimizers_noise_is_that_of_all_ranks(in_ranks):
    (differ, first, second), other = in_ranks(2, noisy)
    assert differ is other[0] is None
    assert torch.equal(second, other[2])
    # Another in each step.
    assert not torch.allclose(second - first, first - second)


def test_the_check_can_be_left_out(in_ranks, tmp_path):
    in_ranks(2, parts_unchecked, tmp_path)
    names = sorted(x.name for x in tmp_path.glob('*.pth'))
    assert names == ['iter_2.pth', 'iter_4.pth']
