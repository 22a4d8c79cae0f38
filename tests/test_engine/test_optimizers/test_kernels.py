import copy

import pytest
import torch
from torch import nn

from mmamp.engine.optimizers import AmpOptimWrapper
from mmamp.engine.optimizers.kernels import fuse

ADAM = torch.optim.Adam


def wrapped(dtype='bfloat16', cls=ADAM, seed=0, **kwargs):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = cls(net.parameters(), lr=0.01, **kwargs)
    return net, AmpOptimWrapper(optimizer, dtype=dtype)


def train(net, wrapper, steps=3, seed=1):
    torch.manual_seed(seed)
    for _ in range(steps):
        with wrapper.optim_context(net):
            loss = net(torch.randn(4, 8)).square().mean()
        wrapper.update_params(loss)
    return [p.detach().clone() for p in net.parameters()]


def test_on_where_the_device_has_it(mm_log):
    _, wrapper = wrapped()
    assert wrapper.optimizer.param_groups[0]['fused'] is True
    assert 'Adam steps in fused kernels' in mm_log()


@pytest.mark.parametrize(
    'kwargs', [dict(fused=False), dict(foreach=True), dict(capturable=True)]
)
def test_the_config_decides(kwargs):
    net = nn.Linear(2, 2)
    optimizer = ADAM(net.parameters(), **kwargs)
    before = copy.deepcopy(optimizer.param_groups[0])
    assert not fuse(optimizer)
    after = optimizer.param_groups[0]
    assert {k: after[k] for k in ('fused', 'foreach')} == {
        k: before[k] for k in ('fused', 'foreach')
    }


def test_sgd_may_have_sparse_gradients():
    embedding = nn.Embedding(4, 2, sparse=True)
    wrapper = AmpOptimWrapper(torch.optim.SGD(embedding.parameters(), lr=1.0))
    with wrapper.optim_context(embedding):
        loss = embedding(torch.tensor([1])).sum()
    wrapper.update_params(loss)
    assert not wrapper.skipped_steps


@pytest.mark.parametrize('cls', [ADAM, torch.optim.AdamW])
def test_the_same_steps(cls):
    expected = train(*wrapped(cls=cls, fused=False))
    for a, b in zip(train(*wrapped(cls=cls)), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_a_step_that_is_not_finite_is_left_out():
    net, wrapper = wrapped()
    before = train(net, wrapper)
    with wrapper.optim_context(net):
        loss = net(torch.full((4, 8), float('inf'))).square().mean()
    wrapper.update_params(loss)
    assert wrapper.skipped_steps == 1
    for a, b in zip(net.parameters(), before, strict=True):
        assert torch.equal(a, b)


def test_one_that_asks_the_scaler_is_not_asked():
    """Torch's older way: it would not heed what it is not told."""

    class Older(torch.optim.SGD):
        _step_supports_amp_scaling = True

        def step(self, closure=None, grad_scaler=None):
            return super().step(closure)

    net, wrapper = wrapped(cls=Older)
    before = train(net, wrapper)
    with wrapper.optim_context(net):
        loss = net(torch.full((4, 8), float('inf'))).square().mean()
    wrapper.update_params(loss)
    assert wrapper.skipped_steps == 1
    for a, b in zip(net.parameters(), before, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize('then', [dict(), dict(fused=False)])
@pytest.mark.parametrize('now', [dict(), dict(fused=False)])
def test_resumes_from_the_other_kind(then, now):
    """Torch would take over how the run that saved it stepped."""
    net, wrapper = wrapped(**then)
    train(net, wrapper)
    state = copy.deepcopy(wrapper.state_dict())
    other, resumed = wrapped(seed=5, **now)
    other.load_state_dict(net.state_dict())
    given = copy.deepcopy(state)
    resumed.load_state_dict(state)
    group = resumed.optimizer.param_groups[0]
    assert group['fused'] is now.get('fused', True)
    assert state['param_groups'] == given['param_groups']
    expected = train(net, wrapper, seed=2)
    for a, b in zip(train(other, resumed, seed=2), expected, strict=True):
        if then == now:
            assert torch.equal(a, b)
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    with resumed.optim_context(other):
        loss = other(torch.full((4, 8), float('inf'))).square().mean()
    resumed.update_params(loss)
    assert resumed.skipped_steps == 1


def convolution(memory_format, counts=1):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten())
    net.to(memory_format=memory_format)
    optimizer = ADAM(net.parameters(), lr=0.01)
    return net, AmpOptimWrapper(
        optimizer, dtype='float32', accumulative_counts=counts
    )


def train_on_images(net, wrapper, steps):
    torch.manual_seed(1)
    for _ in range(steps):
        with wrapper.optim_context(net):
            loss = net(torch.randn(4, 2, 5, 5)).square().mean()
        wrapper.update_params(loss)


# Between windows, and inside of one, whose gradients are in the checkpoint.
@pytest.mark.parametrize(('counts', 'before', 'after'), [(1, 3, 3), (2, 1, 1)])
def test_resumes_in_another_memory_format(counts, before, after):
    net, wrapper = convolution(torch.contiguous_format, counts)
    train_on_images(net, wrapper, before)
    state = copy.deepcopy(wrapper.state_dict())
    other, resumed = convolution(torch.channels_last, counts)
    other.load_state_dict(net.state_dict())
    resumed.load_state_dict(state)
    train_on_images(net, wrapper, after)
    train_on_images(other, resumed, after)
    for a, b in zip(other.parameters(), net.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_momentum_where_the_first_step_is_left_out():
    """Torch leaves it as the memory happened to be."""
    sgd = dict(cls=torch.optim.SGD, momentum=0.9, dtype='float32')
    expected = train(*wrapped(**sgd))
    net, wrapper = wrapped(**sgd, fused=True)
    with wrapper.optim_context(net):
        loss = net(torch.full((4, 8), float('inf'))).square().mean()
    wrapper.update_params(loss)
    assert wrapper.skipped_steps == 1
    assert not any(
        'momentum_buffer' in x for x in wrapper.optimizer.state.values()
    )
    for a, b in zip(train(net, wrapper), expected, strict=True):
        torch.testing.assert_close(a, b)
