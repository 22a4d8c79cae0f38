"""Optimizers whose learning rate is a tensor."""

import copy

import pytest
import torch
from mmengine.optim import CosineAnnealingLR, LinearLR, LinearMomentum
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.engine.optimizers.tensor_rates import TensorRates


class Compiled(torch.optim.SGD):
    """Takes the tensor that it was built with, and nothing else."""

    def __init__(self, params, lr, momentum=0.9):
        super().__init__(params, lr, momentum)
        self.tensors = []
        for group in self.param_groups:
            group['lr'] = torch.tensor(group['lr'])
            self.tensors.append(group['lr'])
        self.used = []

    def step(self, closure=None):
        for group, tensor in zip(self.param_groups, self.tensors, strict=True):
            if group['lr'] is not tensor:
                raise RuntimeError('lr is another object')
        self.used.append([float(x) for x in self.tensors])
        super().step()


def make(kind, **kwargs):
    torch.manual_seed(0)
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 1)])
    groups = [
        dict(params=m.parameters(), lr=0.1 * (i + 1))
        for i, m in enumerate(model)
    ]
    return model, AmpOptimWrapper(
        kind(groups, lr=0.1, **kwargs), dtype='float32'
    )


def train(model, wrapper, steps, *schedulers):
    for _ in range(steps):
        with wrapper.optim_context(model):
            loss = model[1](model[0](torch.ones(1, 2))).square().sum()
        wrapper.update_params(loss)
        for scheduler in schedulers:
            scheduler.step()


@pytest.mark.parametrize(
    'schedule',
    [
        dict(type=LinearLR, start_factor=0.1, end=4),
        dict(type=CosineAnnealingLR, T_max=6),
    ],
)
def test_schedulers_set_it(schedule):
    schedule = dict(schedule)
    kind = schedule.pop('type')
    model, wrapper = make(Compiled)
    twin, plain = make(torch.optim.SGD, momentum=0.9)
    expected = []
    one, other = (
        kind(x, by_epoch=False, **schedule) for x in (wrapper, plain)
    )
    for _ in range(6):
        expected.append([g['lr'] for g in plain.optimizer.param_groups])
        train(model, wrapper, 1, one)
        train(twin, plain, 1, other)
    torch.testing.assert_close(wrapper.optimizer.used, expected)
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_momentum_too():
    model, wrapper = make(Compiled)
    scheduler = LinearMomentum(
        wrapper, start_factor=0.5, end=4, by_epoch=False
    )
    train(model, wrapper, 5, scheduler)
    assert wrapper.optimizer.param_groups[0]['momentum'] == pytest.approx(0.9)


def test_a_log_shows_numbers():
    _, wrapper = make(Compiled)
    assert wrapper.get_lr()['lr'] == pytest.approx([0.1, 0.2])


@pytest.mark.parametrize('with_tensors', [False, True])
def test_a_run_goes_on(with_tensors):
    model, wrapper = make(Compiled)
    scheduler = LinearLR(wrapper, start_factor=0.1, end=8, by_epoch=False)
    train(model, wrapper, 3, scheduler)
    state = copy.deepcopy(wrapper.state_dict())
    rates = [group['lr'] for group in state['param_groups']]
    if with_tensors:  # of a run without mmamp
        for group in state['param_groups']:
            group['lr'] = torch.tensor(group['lr'])
    other, resumed = make(Compiled)
    resumed.load_state_dict(state)
    train(other, resumed, 1)
    assert resumed.optimizer.used[-1] == pytest.approx(rates)


class MakingItsOwn(torch.optim.SGD):
    """Its rate is another tensor after each step, as Adafactor's."""

    def step(self, closure=None):
        super().step()
        for group in self.param_groups:
            (weight, *_) = group['params']
            group['lr'] = 0.1 * weight.detach().norm().clamp(max=1)


def test_one_that_makes_its_rate_goes_on():
    model, wrapper = make(MakingItsOwn)
    train(model, wrapper, 2)
    other, resumed = make(MakingItsOwn)
    other.load_state_dict(model.state_dict())
    resumed.load_state_dict(copy.deepcopy(wrapper.state_dict()))
    for each in ((model, wrapper), (other, resumed)):
        train(*each, 2)
    assert [float(x) for x in resumed.get_lr()['lr']] == [
        float(x) for x in wrapper.get_lr()['lr']
    ]
    assert torch.equal(other[0].weight, model[0].weight)


def test_one_that_sets_its_rate_itself():
    param = nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([param], lr=torch.tensor(0.1))
    rates = TensorRates(optimizer)
    (group,) = optimizer.param_groups
    assert type(group['lr']) is float
    with rates.in_place():
        assert isinstance(group['lr'], torch.Tensor)
        group['lr'] = 0.5
    assert group['lr'] == 0.5
    with rates.in_place():
        assert float(group['lr']) == 0.5


class Estimating(torch.optim.SGD):
    """Finds its rate itself, as Prodigy and D-Adaptation do."""

    def __init__(self, params, lr=1.0):
        super().__init__(params, lr)
        for group in self.param_groups:
            group['d'] = 1e-6

    def step(self, closure=None):
        for group in self.param_groups:
            group['d'] *= 10


def test_what_an_optimizer_finds_is_logged():
    model = nn.Linear(2, 1)
    wrapper = AmpOptimWrapper(
        Estimating(model.parameters(), lr=0.5), dtype='float32'
    )
    for _ in range(2):
        with wrapper.optim_context(model):
            loss = model(torch.ones(1, 2)).sum()
        wrapper.update_params(loss)
    scalars = wrapper.amp_scalars()
    assert scalars['d'] == pytest.approx(1e-4)
    assert scalars['effective_lr'] == pytest.approx(5e-5)
    assert 'd' not in make(torch.optim.SGD)[1].amp_scalars()


def test_a_long_first_step_is_told(monkeypatch, mm_log):
    monkeypatch.setattr(
        'mmamp.engine.optimizers.amp_optim_wrapper.LONG_STEP', 0.0
    )
    model, wrapper = make(torch.optim.SGD)
    train(model, wrapper, 2)
    text = mm_log()
    assert text.count('first step of SGD took') == 1
