"""Optimizers that evaluate other weights than they train on."""

import copy
from functools import partial

import pytest
import torch
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.engine.optimizers.evaluation_weights import EvaluationWeights

from ...helpers.schedule_free import Lookahead, ScheduleFreeSGD

KINDS = [
    ScheduleFreeSGD,
    partial(Lookahead, pair=False),
    partial(Lookahead, pair=True),
]


def make(kind, seed=0, **kwargs):
    torch.manual_seed(seed)
    model = nn.Linear(3, 2)
    wrapper = AmpOptimWrapper(
        kind(model.parameters(), lr=0.1), dtype='float32', **kwargs
    )
    return model, wrapper


def train(model, wrapper, steps, start=0):
    for i in range(start, start + steps):
        inputs = torch.randn(4, 3, generator=torch.Generator().manual_seed(i))
        with wrapper.optim_context(model):
            loss = (model(inputs) - 1).square().mean()
        wrapper.update_params(loss)


def values(model):
    return [p.detach().clone() for p in model.parameters()]


def equal(one, other):
    return all(map(torch.equal, one, other))


@pytest.mark.parametrize('kind', KINDS)
def test_training_goes_on_from_its_own_weights(kind):
    """Bit for bit, however often others were looked at."""
    model, wrapper = make(kind)
    twin, undisturbed = make(kind)
    for i in range(8):
        train(model, wrapper, 1, i)
        train(twin, undisturbed, 1, i)
        before = values(model)
        with wrapper.evaluation_weights():
            shown = values(model)
            with wrapper.evaluation_weights():
                assert equal(shown, values(model))
        assert equal(before, values(model))
    assert not equal(before, shown)
    assert equal(values(model), values(twin))
    torch.testing.assert_close(
        wrapper.optimizer.state_dict(),
        undisturbed.optimizer.state_dict(),
        rtol=0,
        atol=0,
    )


def test_what_is_shown_is_the_average():
    model, wrapper = make(ScheduleFreeSGD)
    train(model, wrapper, 5)
    own, twin = make(ScheduleFreeSGD)
    train(own, twin, 5)
    twin.optimizer.eval()
    with wrapper.evaluation_weights():
        assert equal(values(model), values(own))


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('while_shown', [False, True])
@pytest.mark.parametrize('order', ['model first', 'wrapper first'])
def test_a_run_goes_on(kind, while_shown, order):
    model, wrapper = make(kind)
    train(model, wrapper, 4)
    if while_shown:
        with wrapper.evaluation_weights():
            weights = copy.deepcopy(model.state_dict())
            state = copy.deepcopy(wrapper.state_dict())
    else:
        weights = copy.deepcopy(model.state_dict())
        state = copy.deepcopy(wrapper.state_dict())
    train(model, wrapper, 4, 4)

    other, resumed = make(kind, seed=1)
    if order == 'model first':
        other.load_state_dict(weights)
        resumed.load_state_dict(state)
    else:
        resumed.load_state_dict(state)
        other.load_state_dict(weights)
    if while_shown:
        with resumed.evaluation_weights():
            torch.testing.assert_close(
                dict(other.state_dict()), dict(weights), rtol=0, atol=0
            )
    train(other, resumed, 4, 4)
    assert equal(values(model), values(other))


def test_a_run_goes_on_without_a_context():
    """Its first forward pass is on training's weights."""
    model, wrapper = make(ScheduleFreeSGD)
    train(model, wrapper, 4)
    weights = values(model)
    with wrapper.evaluation_weights():
        shown = copy.deepcopy(model.state_dict())
        state = copy.deepcopy(wrapper.state_dict())
    other, resumed = make(ScheduleFreeSGD, 1)
    other.load_state_dict(shown)
    resumed.load_state_dict(state)
    resumed.initialize_count_status(other, 4, 8)
    assert equal(values(other), weights)


def test_a_run_goes_on_inside_of_a_window():
    model, wrapper = make(ScheduleFreeSGD, accumulative_counts=2)
    train(model, wrapper, 5)
    with wrapper.evaluation_weights():
        weights = copy.deepcopy(model.state_dict())
        state = copy.deepcopy(wrapper.state_dict())
    train(model, wrapper, 3, 5)
    other, resumed = make(ScheduleFreeSGD, 1, accumulative_counts=2)
    other.load_state_dict(weights)
    resumed.load_state_dict(state)
    train(other, resumed, 3, 5)
    assert equal(values(model), values(other))


class Chained(ScheduleFreeSGD):
    """One of its methods calls the other, as heavyball's do."""

    def eval(self):
        return self.train(False)

    def train(self, mode=True):
        (super().train if mode else super().eval)()


@pytest.mark.parametrize('kind', [ScheduleFreeSGD, Chained])
@pytest.mark.parametrize('first', ['user', 'mmamp'])
def test_a_hook_of_the_users_calls_the_methods_too(kind, first):
    model, wrapper = make(kind)
    wrapper.optimizer.train()
    twin, undisturbed = make(kind)
    for i in range(6):
        train(model, wrapper, 1, i)
        train(twin, undisturbed, 1, i)
        if first == 'user':
            wrapper.optimizer.eval()
            with wrapper.evaluation_weights():
                shown = values(model)
        else:
            with wrapper.evaluation_weights():
                wrapper.optimizer.eval()
                shown = values(model)
                wrapper.optimizer.train()
        wrapper.optimizer.train()
        assert equal(values(model), values(twin))
        assert not equal(values(model), shown) or i == 0
    wrapper.optimizer.eval()
    train(model, wrapper, 1, 6)
    train(twin, undisturbed, 1, 6)
    assert equal(values(model), values(twin))


def test_one_that_was_never_trained():
    model, wrapper = make(ScheduleFreeSGD)
    before = values(model)
    with wrapper.evaluation_weights():
        assert equal(before, values(model))
    train(model, wrapper, 1)
    assert not equal(before, values(model))


class HandsOn(torch.optim.SGD):
    """Has the methods, and an optimizer inside that has not."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.inner = torch.optim.SGD(self.param_groups, lr)

    def train(self):
        self.inner.train()

    def eval(self):
        self.inner.eval()


def test_one_that_hands_on_what_nobody_has():
    model, wrapper = make(HandsOn)
    before = values(model)
    train(model, wrapper, 2)
    assert not equal(before, values(model))
    with wrapper.evaluation_weights():
        assert not equal(before, values(model))


def test_others_have_none():
    model = nn.Linear(2, 1)
    weights = EvaluationWeights(torch.optim.SGD(model.parameters(), lr=0.1))
    assert not weights.differ
    with weights.shown():
        assert weights.state() is None
    weights.train()


def test_before_the_first_step_there_are_no_other_weights():
    """SPlus of pytorch-optimizer looks for a state that it has not yet."""

    class AsksForState(ScheduleFreeSGD):
        def eval(self):
            for param in self.param_groups[0]['params']:
                assert self.state[param]
            super().eval()

    model, wrapper = make(AsksForState)
    wrapper.optimizer.train()
    before = values(model)
    with wrapper.evaluation_weights():
        assert equal(before, values(model))
    wrapper.optimizer.eval()
    train(model, wrapper, 2)
    with wrapper.evaluation_weights():
        assert not equal(before, values(model))


class AverageBeside(torch.optim.SGD):
    """Has its average in an attribute, and no state at all."""

    def __init__(self, params, lr):
        super().__init__(params, lr=lr, foreach=False)
        (group,) = self.param_groups
        self.average = {p: p.detach().clone() for p in group['params']}

    def step(self, closure=None):
        super().step()
        for param, average in self.average.items():
            average.lerp_(param.detach(), 0.1)

    @torch.no_grad()
    def eval(self):
        for param, average in self.average.items():
            param.copy_(average)

    def train(self):
        """Leave it to whoever has kept the weights of training."""


class AsksForAState(torch.optim.SGD):
    """Cannot tell what to evaluate before its first step."""

    def eval(self):
        for group in self.param_groups:
            for param in group['params']:
                self.state[param]['average'].clone()

    def train(self):
        """Begin."""


def test_an_average_that_is_no_state():
    model, wrapper = make(AverageBeside)
    train(model, wrapper, 3)
    trained, optimizer = values(model), wrapper.optimizer
    with wrapper.evaluation_weights():
        assert equal(values(model), optimizer.average.values())
        assert not equal(values(model), trained)
    assert equal(values(model), trained)


def test_what_cannot_be_told_yet():
    model, wrapper = make(AsksForAState)
    before = values(model)
    with wrapper.evaluation_weights():
        assert equal(values(model), before)
    train(model, wrapper, 1)
    assert not equal(values(model), before)
