"""One optimizer of each kind, on two ranks."""

from collections import deque

import pytest
import torch
from has_fsdp2 import HAS_FSDP2, WHY
from mmengine.model import BaseModel
from sam import SAM
from schedule_free import Lookahead, ScheduleFreeSGD
from torch import distributed, nn
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.nn.parallel import DistributedDataParallel

from mmamp import AmpOptimWrapper
from mmamp.distributed.sharding import gathered
from mmamp.engine.optimizers.joint_optimizer import JointOptimizer


class Estimating(torch.optim.SGD):
    """Finds its rate by all of its gradients, as Prodigy does."""

    def __init__(self, params, lr):
        super().__init__(params, lr)
        for group in self.param_groups:
            group['d'] = 0.1

    def step(self, closure=None):
        (group,) = self.param_groups
        norm = sum(p.grad.square().sum() for p in group['params']).sqrt()
        norm = norm.full_tensor() if hasattr(norm, 'full_tensor') else norm
        group['d'] = 0.9 * group['d'] + 0.1 * float(norm)
        with torch.no_grad():
            for param in group['params']:
                param.sub_(group['lr'] * group['d'] * param.grad)


class ByTheLoss(torch.optim.SGD):
    """Its step is as long as the loss is large, as AliG's."""

    @torch.no_grad()
    def step(self, closure):
        with torch.enable_grad():
            loss = float(closure())
        for param in self.param_groups[0]['params']:
            param.sub_(0.1 * loss * param.grad)


class Delay:
    """Hands on what it was given the time before."""

    def __init__(self):
        self.last = deque(maxlen=2)

    def __call__(self, value):
        self.last.append(value.clone())
        return self.last[0]


class Remembering(torch.optim.SGD):
    """Objects in its state, an entry of no parameter, and attributes."""

    def __init__(self, params, lr):
        super().__init__(params, lr)
        self.state['count'] = torch.zeros(())
        self.slow = {}

    @torch.no_grad()
    def step(self, closure=None):
        self.state['count'] += 1
        for param in self.param_groups[0]['params']:
            delay = self.state[param].setdefault('delay', Delay())
            grad = delay(param.grad) / self.state['count'].sqrt()
            slow = self.slow.setdefault(param, param.clone())
            param.sub_(0.1 * grad + 0.01 * (param - slow))
            slow.lerp_(param, 0.1)


class SecondOrder(torch.optim.SGD):
    mmamp_traits = dict(second_order=True)


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))

    def forward(self, inputs, mode='loss'):
        return dict(loss=(self.body(inputs).float() - 1).square().mean())


class Wrapped(DistributedDataParallel):
    """As MMEngine's wrapper trains a model."""

    def train_step(self, data, optim_wrapper):
        with optim_wrapper.optim_context(self):
            losses = self(**data)
        loss, log_vars = self.module.parse_losses(losses)
        optim_wrapper.update_params(loss)
        return log_vars


def two_as_one(params, lr):
    """One optimizer for matrices, and one for the rest."""
    params = list(params)
    return JointOptimizer(
        [
            torch.optim.SGD([p for p in params if p.ndim == 2], lr),
            torch.optim.AdamW([p for p in params if p.ndim < 2], lr),
        ]
    )


def muon(params, lr):
    """As ``param_groups`` of an entry make it."""
    params = list(params)
    return JointOptimizer(
        [
            torch.optim.Muon([p for p in params if p.ndim == 2], lr),
            torch.optim.AdamW([p for p in params if p.ndim < 2], lr),
        ]
    )


def lookahead_pair(params, lr):
    return Lookahead(params, lr, pair=True)


def rate_in_a_tensor(params, lr):
    return torch.optim.Adam(params, torch.tensor(lr), foreach=False)


def parted(params, lr):
    """Each rank has the state of some parameters, where there are ranks."""
    if not distributed.is_initialized():
        return torch.optim.Adam(params, lr)
    return ZeroRedundancyOptimizer(params, torch.optim.Adam, lr=lr)


KINDS = dict(
    joint=two_as_one,
    schedule_free=ScheduleFreeSGD,
    closure=SAM,
    by_the_loss=ByTheLoss,
    learning_rate_free=Estimating,
    objects=Remembering,
    lookahead=Lookahead,
    lookahead_pair=lookahead_pair,
    rate_in_a_tensor=rate_in_a_tensor,
    **(dict(muon=muon) if hasattr(torch.optim, 'Muon') else {}),
)
ITERATION_IN_BFLOAT16 = 1e-2
"""What rounding comes to in Muon's matrix iteration; matrices that were taken
apart would differ by several times that."""
OF_TRAINING = ('schedule_free', 'lookahead', 'lookahead_pair')


def batches(rank, world_size):
    generator = torch.Generator().manual_seed(0)
    for _ in range(8):
        whole = torch.randn(8, 4, generator=generator)
        yield dict(inputs=whole.chunk(world_size)[rank])


def weights_of(model):
    return gathered([p.detach().clone() for p in model.parameters()])


def train(rank, world_size, kind, dtype, sharded=False):
    """Train, looking at the weights for evaluation now and then."""
    model = net = Model()
    if sharded:
        from torch.distributed.fsdp import fully_shard

        fully_shard(model.body)
    elif world_size > 1:
        net = Wrapped(model)
    wrapper = AmpOptimWrapper(
        KINDS.get(kind, parted)(model.parameters(), lr=0.1),
        dtype=dtype,
        loss_scale=512.0,
        accumulative_counts=2,
        clip_grad=dict(max_norm=0.5),
    )
    wrapper.initialize_count_status(net, 0, 8)
    shown = []
    for batch in batches(rank, world_size):
        net.train_step(batch, wrapper)
        with wrapper.evaluation_weights():
            shown.append(weights_of(model))
    weights = weights_of(model)
    return [*weights, *shown[-1]], wrapper.record.windows


@pytest.mark.parametrize('kind', [*KINDS, 'parted'])
@pytest.mark.parametrize('dtype', ['float32', 'float16'])
def test_two_ranks_train_as_one(in_ranks, kind, dtype):
    (one, windows), (other, _) = in_ranks(2, train, kind, dtype)
    alone, _ = train(0, 1, kind, dtype)
    assert windows == 4
    tolerance = 1e-5 if dtype == 'float32' else 5e-3
    if kind == 'muon':
        tolerance = ITERATION_IN_BFLOAT16
    assert torch.equal(one[0], one[4]) == (kind not in OF_TRAINING)
    for mine, theirs, expected in zip(one, other, alone, strict=True):
        assert torch.equal(mine, theirs)
        torch.testing.assert_close(mine, expected, rtol=0, atol=tolerance)


@pytest.mark.skipif(not HAS_FSDP2, reason=WHY)
@pytest.mark.parametrize('kind', KINDS)
def test_two_shards_train_as_one(in_ranks, kind):
    (found, _), _ = in_ranks(2, train, kind, 'float32', True)
    alone, _ = train(0, 1, kind, 'float32')
    tolerance = ITERATION_IN_BFLOAT16 if kind == 'muon' else 1e-5
    for mine, expected in zip(found, alone, strict=True):
        torch.testing.assert_close(mine, expected, rtol=0, atol=tolerance)


def refusal(rank, world_size):
    net = DistributedDataParallel(nn.Linear(2, 1))
    wrapper = AmpOptimWrapper(
        SecondOrder(net.parameters(), lr=0.1), dtype='float32'
    )
    try:
        wrapper.initialize_count_status(net, 0, 1)
    except ValueError as error:
        return str(error)
    return ''


def test_second_order_is_refused(in_ranks):
    for text in in_ranks(2, refusal):
        assert 'differentiates gradients' in text
        assert 'another optimizer' in text
