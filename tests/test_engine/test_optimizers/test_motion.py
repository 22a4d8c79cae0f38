"""An optimizer that moves nothing is told of."""

import logging

import pytest
import torch
from torch import nn
from torch.optim import SGD

from mmamp.engine.optimizers import AmpOptimWrapper
from mmamp.engine.optimizers.motion import STEPS


class ClosureAlone(SGD):
    """Moves weights where it is given a closure; its signature hides that."""

    def step(self, closure=None):
        if closure is not None:
            return super().step(closure)
        return None


class LateStart(SGD):
    """Leaves its first steps out, as SOAP does."""

    done = 0

    def step(self, closure=None):
        self.done += 1
        return super().step(closure) if self.done > 2 else None


def train(optimizer, module, steps=STEPS, targets=1.0):
    wrapper = AmpOptimWrapper(optimizer=optimizer, dtype='float32')
    for _ in range(steps):
        with wrapper.optim_context(module):
            loss = (module(torch.ones(2, 3)) - targets).square().mean()
        wrapper.update_params(loss)


def warnings_of(mm_log):
    return [x for x in mm_log(logging.WARNING).split('\n') if 'moved' in x]


@pytest.fixture
def module():
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def test_a_step_without_what_it_needs(module, mm_log):
    train(ClosureAlone(module.parameters(), lr=0.5), module, 2 * STEPS)
    (said,) = warnings_of(mm_log)
    assert '10 steps of ClosureAlone' in said
    assert 'lr is 0.5' in said


def test_a_rate_that_underflows(module, mm_log):
    train(SGD(module.parameters(), lr=1e-30, foreach=False), module)
    (said,) = warnings_of(mm_log)
    assert 'lr is 1e-30' in said


class Replaces(SGD):
    """Gives its weights other memory."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for param in group['params']:
                param.data = param.data - group['lr'] * param.grad


@pytest.mark.parametrize('kind', [SGD, LateStart, Replaces])
def test_one_that_moves(kind, module, mm_log):
    train(kind(module.parameters(), lr=0.1, foreach=False), module, 2 * STEPS)
    assert not warnings_of(mm_log)


def test_warming_up_from_nothing_is_no_step(module, mm_log):
    optimizer = SGD(module.parameters(), lr=0.0, foreach=False)
    wrapper = AmpOptimWrapper(optimizer=optimizer, dtype='float32')
    for i in range(4 * STEPS):
        optimizer.param_groups[0]['lr'] = 0.1 if i >= 2 * STEPS else 0.0
        wrapper.update_params((module(torch.ones(2, 3)) - 1).square().mean())
    assert not warnings_of(mm_log)


def test_gradients_of_nothing_tell_nothing(module, mm_log):
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    train(SGD(module.parameters(), lr=0.1, foreach=False), module, targets=0.0)
    assert not warnings_of(mm_log)


def test_a_group_that_stays(mm_log):
    """Its weights are the smallest ones."""
    module = nn.Linear(3, 300)
    bias = dict(params=[module.bias], lr=0.0)
    train(SGD([bias, dict(params=[module.weight])], lr=0.1), module)
    assert not warnings_of(mm_log)


def test_large_weights_are_seen_in_part(mm_log):
    module = nn.Linear(3, 2**17, bias=False)
    train(SGD(module.parameters(), lr=0.1, foreach=False), module)
    assert not warnings_of(mm_log)
    train(ClosureAlone(module.parameters(), lr=0.1), module)
    assert len(warnings_of(mm_log)) == 1


def test_a_rate_that_is_a_tensor(module, mm_log):
    lr = torch.tensor(0.0)
    train(SGD(module.parameters(), lr=lr, foreach=False), module)
    assert not warnings_of(mm_log)


def test_no_rate_at_all(module, mm_log):
    optimizer = ClosureAlone(module.parameters(), lr=0.1)
    optimizer.param_groups[0]['lr'] = None
    train(optimizer, module)
    assert 'lr is its own' in warnings_of(mm_log)[0]
