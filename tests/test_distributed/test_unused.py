"""Under FSDP2, parameters that some ranks, or none, come to."""

import pytest
import torch
from has_fsdp2 import HAS_FSDP2, WHY
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import FlexibleRunner
from torch import nn

from mmamp.registry import MODELS

if not HAS_FSDP2:
    pytest.skip(WHY, allow_module_level=True)


@MODELS.register_module(force=True)
class Experts(BaseModel):
    """``routes``: the expert of each rank; -1 is none."""

    def __init__(self, routes):
        super().__init__()
        self.routes = routes
        self.body = nn.Linear(4, 4)
        self.experts = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)])
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for param in self.parameters():
                param.copy_(torch.randn(param.shape, generator=generator))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        x = self.body(inputs)
        for route in self.routes[self.rank]:
            x = self.experts[route](x)
        return dict(loss=x.pow(2).mean())


def experts_of(
    rank, world_size, work_dir, routes, strategy, optimizer, iters, keys=None
):
    Experts.rank = rank
    dataset = [dict(inputs=torch.full((4,), i / 4.0)) for i in range(1, 9)]
    cfg = Config(
        dict(
            default_scope='mmamp',
            work_dir=str(work_dir),
            launcher='pytorch' if world_size > 1 else 'none',
            env_cfg=dict(),
            model=dict(type='mmamp.Experts', routes=routes),
            optim_wrapper=dict(
                type='mmamp.AmpOptimWrapper',
                dtype='float32',
                optimizer=optimizer,
            ),
            train_cfg=dict(by_epoch=False, max_iters=iters),
            strategy=dict(type='mmamp.FSDP2Strategy', **strategy),
            default_hooks=dict(checkpoint=None),
            log_level='WARNING',
        )
    )
    cfg.train_dataloader = dict(
        batch_size=8 // world_size,
        num_workers=0,
        sampler=dict(type='InfiniteSampler', shuffle=False),
        collate_fn=dict(type='default_collate'),
        dataset=dataset,
    )
    for key, value in (keys or {}).items():
        cfg[key] = value
    runner = FlexibleRunner.from_cfg(cfg)
    try:
        runner.train()
    except ValueError as error:
        return dict(error=str(error))
    weights = {
        name: (
            param.full_tensor() if hasattr(param, 'full_tensor') else param
        ).detach()
        for name, param in runner.model.named_parameters()
    }
    log = '\n'.join(
        file.read_text() for file in sorted(work_dir.glob('*/*.log'))
    )
    return dict(weights=weights, log=log)


SGD = dict(type='SGD', lr=0.1, momentum=0.9)
ADAMW = dict(type='AdamW', lr=0.1, weight_decay=0.5)


def by_hand(routes, iters, optimizer):
    """Each rank's gradient, averaged as DDP does; unused ones stay None."""
    model = Experts(routes)
    kind = getattr(torch.optim, optimizer['type'])
    steps = kind(
        model.parameters(),
        **{k: v for k, v in optimizer.items() if k != 'type'},
    )
    data = torch.stack([torch.full((4,), i / 4.0) for i in range(1, 9)])
    for _ in range(iters):
        steps.zero_grad()
        for rank in range(2):
            model.rank = rank
            (model(data[rank::2])['loss'] / 2).backward()
        steps.step()
    return dict(model.named_parameters())


@pytest.mark.parametrize(
    ('routes', 'strategy', 'optimizer'),
    [
        ([[0], [1]], {}, SGD),
        ([[0], []], {}, SGD),
        ([[0], []], dict(units=['body']), SGD),
        ([[0], [1]], dict(find_unused_parameters=True), ADAMW),
        ([[0], [0]], dict(find_unused_parameters=True), ADAMW),
        (
            [[0], [0]],
            dict(find_unused_parameters=True, units=[r'experts\.1']),
            ADAMW,
        ),
    ],
)
def test_each_parameter_has_its_own_gradient(
    in_ranks, tmp_path, routes, strategy, optimizer
):
    expected = by_hand(routes, 3, optimizer)
    for rank in in_ranks(
        2, experts_of, tmp_path, routes, strategy, optimizer, 3
    ):
        for name, weight in expected.items():
            torch.testing.assert_close(rank['weights'][name], weight.detach())


def test_what_no_rank_reaches_is_told(in_ranks, tmp_path):
    """It decays, as its gradient is zero; where that is so, is logged."""
    first, _ = in_ranks(2, experts_of, tmp_path, [[0], [0]], {}, ADAMW, 2)
    said = 'rank 0 gives no gradient to experts.1.weight, experts.1.bias'
    assert said in first['log']
    assert 'find_unused_parameters=True' in first['log']
    alone = Experts([[0]])
    assert not torch.equal(
        first['weights']['experts.1.weight'], alone.experts[1].weight
    )


@MODELS.register_module(force=True)
class TwoOptimizers(BaseModel):
    """One network, whose parts are trained in turns."""

    def __init__(self, routes):
        super().__init__()
        self.network = Experts(routes)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        return self.network(inputs)

    def train_step(self, data, optim_wrapper):
        logs = {}
        for name, wrapper in optim_wrapper.items():
            for part, module in self.network.named_children():
                module.requires_grad_(part == name)
            with wrapper.optim_context(self.network):
                loss = self.network(**data)['loss']
            wrapper.update_params(loss)
            logs[name] = loss
        return logs


@pytest.mark.parametrize('find', [False, True])
def test_two_optimizers_of_one_network(in_ranks, tmp_path, find):
    """Each judges what it trains."""
    entry = dict(type='mmamp.AmpOptimWrapper', dtype='float32', optimizer=SGD)
    optim_wrapper = dict(
        constructor='mmamp.OptimWrapperConstructor',
        body=dict(entry, modules='network.body'),
        experts=dict(entry, modules='network.experts'),
    )
    model = dict(type='mmamp.TwoOptimizers', routes=[[0], [0]])
    keys = dict(model=model, optim_wrapper=optim_wrapper)
    strategy = dict(find_unused_parameters=find)
    args = [[0], [0]], strategy, SGD, 3, keys
    alone = experts_of(0, 1, tmp_path / 'alone', [[0], [0]], {}, SGD, 3, keys)
    for rank in in_ranks(2, experts_of, tmp_path / 'ranks', *args):
        for name, weight in alone['weights'].items():
            torch.testing.assert_close(rank['weights'][name], weight)


def test_a_unit_that_nobody_reaches_is_refused(in_ranks, tmp_path):
    """Whether others have reached it, a rank cannot know."""
    ranks = in_ranks(
        2,
        experts_of,
        tmp_path,
        [[0], [0]],
        dict(units=[r'experts\.1']),
        SGD,
        1,
    )
    for rank in ranks:
        assert "the unit 'experts.1' got no gradient" in rank['error']
