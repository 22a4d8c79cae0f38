"""Schedules are at their goal at their end, and not a step before."""

import math

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

import mmamp  # noqa: F401

RATES = (0.2, 0.1)
ARGUMENTS = {
    'Linear': dict(start_factor=0.01, end_factor=0.5),
    'Constant': dict(factor=0.1),
    'Poly': dict(power=0.9, eta_min=0.01),
    'Cosine': dict(eta_min=0.01),
    'Exponential': dict(start_factor=0.1),
}


def _wanted(name, lr, part):
    if name == 'Linear':
        return lr * (0.01 + 0.49 * min(part, 1))
    if name == 'Constant':
        return lr * (0.1 if part < 1 else 1)
    if name == 'Exponential':
        return lr * 0.1 ** (1 - min(part, 1))
    if name == 'Cosine':
        wave = 1 + math.cos(math.pi * min(part, 1))
        return (lr - 0.01) * wave / 2 + 0.01
    return (lr - 0.01) * (1 - min(part, 1)) ** 0.9 + 0.01


def _build(name, length=None, **arguments):
    groups = [
        dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=x) for x in RATES
    ]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    config = dict(type=f'mmamp.{name}LrToEnd', **ARGUMENTS[name], **arguments)
    return optimizer, PARAM_SCHEDULERS.build(
        config, default_args=dict(optimizer=optimizer, epoch_length=length)
    )


def _rates(optimizer, scheduler, steps):
    found = []
    for _ in range(steps):
        found.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize('name', ARGUMENTS)
@pytest.mark.parametrize('length', [1, 3, 7, 49])
@pytest.mark.parametrize(('begin', 'end'), [(0, 1), (0, 4), (2, 5)])
def test_of_epochs_in_iterations(name, length, begin, end):
    optimizer, scheduler = _build(
        name,
        length,
        begin=begin,
        end=end,
        by_epoch=True,
        convert_to_iter_based=True,
    )
    first, last = begin * length, end * length
    for i, found in enumerate(_rates(optimizer, scheduler, last + 3)):
        part = (i - first) / (last - first)
        wanted = [
            _wanted(name, lr, part) if i >= first else lr for lr in RATES
        ]
        assert found == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize('name', ARGUMENTS)
def test_of_steps(name):
    optimizer, scheduler = _build(name, begin=0, end=6, by_epoch=False)
    rates = _rates(optimizer, scheduler, 9)
    wanted = [[_wanted(name, lr, i / 6) for lr in RATES] for i in range(9)]
    for found, expected in zip(rates, wanted, strict=True):
        assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize('name', ARGUMENTS)
def test_goes_on_from_a_checkpoint(name):
    arguments = dict(begin=0, end=8, by_epoch=False)
    whole = _rates(*_build(name, **arguments), 10)
    optimizer, scheduler = _build(name, **arguments)
    _rates(optimizer, scheduler, 5)
    again, resumed = _build(name, **arguments)
    again.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    assert _rates(again, resumed, 5) == whole[5:]


@pytest.mark.parametrize('name', ['Poly', 'Cosine'])
def test_a_warm_up_scales_the_minimum(name):
    arguments = dict(begin=0, end=10, by_epoch=False)
    optimizer, scheduler = _build(name, **arguments)
    warm = PARAM_SCHEDULERS.build(
        dict(
            type='mmamp.LinearLrToEnd',
            start_factor=0.1,
            begin=0,
            end=5,
            by_epoch=False,
        ),
        default_args=dict(optimizer=optimizer),
    )
    for i in range(10):
        factor = 0.1 + 0.9 * min(i / 5, 1)
        wanted = [_wanted(name, lr, i / 10) * factor for lr in RATES]
        found = [group['lr'] for group in optimizer.param_groups]
        assert found == pytest.approx(wanted, abs=1e-12)
        optimizer.step()
        warm.step()
        scheduler.step()


def test_a_poly_stays_at_zero():
    optimizer, poly = _build('Poly', begin=0, end=3, by_epoch=False)
    poly.eta_min = 0
    rates = _rates(optimizer, poly, 6)
    assert rates[3:] == [[0.0, 0.0]] * 3


def test_a_cosine_has_one_minimum():
    with pytest.raises(ValueError, match='eta_min_ratio=0.1 are both set'):
        _build('Cosine', eta_min_ratio=0.1)


def test_a_share_of_each_learning_rate():
    ratio = dict(eta_min=0.0, eta_min_ratio=0.1, begin=0, end=4)
    groups = [dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=0.2)]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    scheduler = PARAM_SCHEDULERS.build(
        dict(type='mmamp.CosineLrToEnd', **ratio),
        default_args=dict(optimizer=optimizer),
    )
    rates = _rates(optimizer, scheduler, 5)
    assert rates[2:5:2] == [[pytest.approx(0.11)], [pytest.approx(0.02)]]
