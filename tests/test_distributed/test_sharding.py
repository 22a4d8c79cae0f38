"""Sharded tensors in real ranks."""

from collections import OrderedDict, defaultdict
from typing import NamedTuple

import pytest
import torch
from has_fsdp2 import HAS_FSDP2, WHY
from torch import nn
from torch.distributed.device_mesh import init_device_mesh

from mmamp import AmpOptimWrapper
from mmamp.distributed import sharding
from mmamp.distributed.sharding import gathered, shard_like
from mmamp.engine.optimizers.gradients import clip_norm_

if not HAS_FSDP2:
    pytest.skip(WHY, allow_module_level=True)

from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

INF = float('inf')


def make_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Linear(3, 5), nn.Tanh()),
        nn.Sequential(nn.Linear(5, 5), nn.Tanh()),
        # Fewer rows than ranks.
        nn.Linear(5, 1),
    )


def shard(net, world_size):
    mesh = init_device_mesh('cpu', (world_size,))
    for module in (*list(net)[:2], net):
        fully_shard(module, mesh=mesh, reshard_after_forward=True)
    return net


def data(rank=0, world_size=1):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(8, 3, generator=generator)
    return x[rank::world_size].clone()


def penalty(net, x):
    x.requires_grad_()
    (grad,) = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    return grad.square().sum(1).mean() + net(x.detach()).square().mean()


def there_and_back(rank, world_size):
    net = shard(make_net(), world_size)
    state = dict(net.state_dict())
    nested = dict(a=[state, 3], b=(torch.ones(2),))
    whole = sharding.gathered(nested)
    again = {
        name: sharding.shard_like(value, state[name])
        for name, value in make_net().state_dict().items()
    }
    assert all(isinstance(value, DTensor) for value in again.values())
    same = [
        torch.equal(again[name].to_local(), value.to_local())
        for name, value in state.items()
    ]
    return dict(whole=whole, same=all(same))


def test_gathered_and_dealt_out(in_ranks):
    first, second = in_ranks(2, there_and_back)
    expected = make_net().state_dict()
    found, number = first['whole']['a']
    assert number == 3
    for name, value in expected.items():
        assert torch.equal(found[name], value)
    # The others need no memory for it.
    assert set(second['whole']['a'][0].values()) == {None}
    assert torch.equal(second['whole']['b'][0], torch.ones(2))
    assert first['same']
    assert second['same']


@pytest.mark.parametrize(
    ('given', 'like'),
    [(3, None), (torch.ones(2), torch.ones(2)), (torch.ones(2), None)],
)
def test_what_is_not_sharded_stays(given, like):
    assert sharding.shard_like(given, like) is given
    assert sharding.gathered(given) is given


def norms(rank, world_size, poison):
    net = shard(make_net(), world_size)
    (net(data(rank, world_size)).square().mean() * 1e3).backward()
    params = list(net.parameters())
    if poison is not None and rank == 1:
        params[2].grad.to_local().fill_(poison)
    grads = [p.grad for p in params]
    found = [sharding.total_norm(grads, p) for p in (1.0, 2.0, 3.0, INF)]
    clipped = found[1]
    clip_norm_(grads, 1.0, clipped)
    after = sharding.total_norm([p.grad for p in params])
    return dict(found=found, clipped=clipped, after=after)


@pytest.mark.parametrize(
    'world_size', [2, pytest.param(3, marks=pytest.mark.slow)]
)
def test_norms_span_the_ranks(in_ranks, world_size):
    net = make_net()
    losses = [
        net(data(rank, world_size)).square().mean()
        for rank in range(world_size)
    ]
    (sum(losses) / world_size * 1e3).backward()
    grads = [p.grad for p in net.parameters()]
    expected = [
        nn.utils.get_total_norm(grads, p) for p in (1.0, 2.0, 3.0, INF)
    ]
    for rank in in_ranks(world_size, norms, None):
        torch.testing.assert_close(rank['found'], expected)
        torch.testing.assert_close(rank['clipped'], expected[1])
        torch.testing.assert_close(rank['after'], torch.tensor(1.0))
    torch.testing.assert_close(sharding.total_norm(grads), expected[1])


@pytest.mark.parametrize(
    'poison', [INF, pytest.param(float('nan'), marks=pytest.mark.slow)]
)
def test_all_ranks_see_what_is_not_finite(in_ranks, poison):
    for rank in in_ranks(2, norms, poison):
        assert not any(norm.isfinite() for norm in rank['found'])


def gradients(rank, world_size):
    net = shard(make_net(), world_size)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    results = []
    for _ in range(2):
        with sharding.whole(net, optimizer):
            assert not any(isinstance(p, DTensor) for p in net.parameters())
            penalty(net, data(rank, world_size)).backward()
            optimizer.step()
            # What was gathered is not what it is now.
            assert all(isinstance(p, DTensor) for p in net.parameters())
        assert all(isinstance(p, DTensor) for p in net.parameters())
        grads = [p.grad.full_tensor() for p in net.parameters()]
        results.append([g.clone() for g in grads])
        optimizer.zero_grad()
    return results


def test_second_derivatives_of_a_whole_network(in_ranks):
    """In several units, and again after a step."""
    net = make_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    expected = []
    for _ in range(2):
        losses = [penalty(net, data(rank, 2)) for rank in range(2)]
        (sum(losses) / 2).backward()
        expected.append([p.grad.clone() for p in net.parameters()])
        optimizer.step()
        optimizer.zero_grad()
    for rank in in_ranks(2, gradients):
        torch.testing.assert_close(rank, expected)


def test_a_network_that_is_not_sharded_is_left_alone():
    net = make_net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with sharding.whole(net, optimizer):
        net(data()).sum().backward()
    assert not optimizer._optimizer_step_post_hooks


def own_penalty(rank, world_size):
    net = shard(make_net(), world_size)
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), lr=0.1), dtype='float32'
    )
    x = data(rank, world_size).requires_grad_()
    with wrapper.optim_context(net):
        out = net(x).sum()
        wrapper.grad(out, x, retain_graph=True)
        try:
            wrapper.grad(out, x, create_graph=True)
        except RuntimeError as error:
            return str(error)
    return ''


def test_a_penalty_of_ones_own_is_told_what_it_needs(in_ranks):
    for text in in_ranks(2, own_penalty):
        assert 'mmamp.sharding.whole(' in text


class Pair(NamedTuple):
    one: torch.Tensor
    other: list


def test_containers_keep_their_kind():
    value = dict(
        a=defaultdict(list, x=[torch.ones(1)]),
        b=Pair(torch.ones(1), [1]),
        c=OrderedDict(y=(1, torch.ones(1))),
    )
    for result in (gathered(value), shard_like(value, torch.zeros(1))):
        assert type(result['a']) is defaultdict
        assert result['a']['new'] == []
        assert type(result['b']) is Pair
        assert type(result['c']) is OrderedDict
        assert type(result['c']['y']) is tuple
        del result['a']['new']
        assert result == value
        assert result['a'] is not value['a']
