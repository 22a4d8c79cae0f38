"""Cycles, an inverse, and a cosine around its warm-up, step by step."""

import math

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

import mmamp  # noqa: F401

LR = 0.2


def _build(kind, optimizer=torch.optim.SGD, **config):
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = optimizer([parameter], lr=LR)
    scheduler = PARAM_SCHEDULERS.build(
        dict(type=f'mmamp.{kind}', **config),
        default_args=dict(optimizer=optimizer, epoch_length=7),
    )
    return optimizer, scheduler


def _values(optimizer, scheduler, steps, name='lr'):
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0][name])
        optimizer.step()
        scheduler.step()
    return found


def _cos(first, last, part):
    return last + (first - last) * (1 + math.cos(math.pi * part)) / 2


def _cycles(i, base, length, top, ratios, gamma):
    """MMCV's formula."""
    cycle, i = divmod(i, length)
    scale = gamma**cycle
    high = 1 - scale + ratios[0] * scale
    if i < top:
        return _cos(base, base * high, i / top)
    return _cos(base * high, base * ratios[1], (i - top) / (length - top))


@pytest.mark.parametrize('times', [1, 3])
@pytest.mark.parametrize('gamma', [1, 0.5])
@pytest.mark.parametrize('up', [0, 0.33, 0.4])
@pytest.mark.parametrize('epochs', [2, 5])
def test_cycles(times, gamma, up, epochs):
    arguments = dict(cyclic_times=times, gamma=gamma, step_ratio_up=up)
    built = _build(
        'CyclicLr',
        end=epochs,
        by_epoch=True,
        convert_to_iter_based=True,
        **arguments,
    )
    length = epochs * 7 // times
    wanted = [
        _cycles(i, LR, length, int(up * length), (10, 1e-4), gamma)
        for i in range(epochs * 7)
    ]
    found = _values(*built, epochs * 7)
    assert found == pytest.approx(wanted, abs=1e-12)


def test_straight_cycles_on_a_warm_up():
    optimizer, scheduler = _build(
        'CyclicLr',
        target_ratio=(3, 0.5),
        step_ratio_up=0.5,
        anneal_strategy='linear',
        end=8,
        by_epoch=False,
    )
    warm = PARAM_SCHEDULERS.build(
        dict(type='mmamp.LinearLrToEnd', start_factor=0.1, end=4),
        default_args=dict(optimizer=optimizer),
    )
    cycle = [1, 1.5, 2, 2.5, 3, 2.375, 1.75, 1.125]
    found = []
    for _ in cycle:
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
        warm.step()
    factors = [0.1, 0.325, 0.55, 0.775, 1, 1, 1, 1]
    wanted = [LR * x * y for x, y in zip(cycle, factors, strict=True)]
    assert found == pytest.approx(wanted, abs=1e-12)


def test_cycles_of_the_momentum():
    optimizer, scheduler = _build(
        'CyclicMomentum',
        torch.optim.Adam,
        cyclic_times=2,
        end=10,
        by_epoch=False,
    )
    found = _values(optimizer, scheduler, 10, 'betas')
    wanted = [_cycles(i, 0.9, 5, 2, (0.85 / 0.95, 1), 1) for i in range(10)]
    assert [x for x, _ in found] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(target_ratio=(1, 2, 3)), 'target_ratio'),
        (dict(target_ratio=(0, 1)), 'must be > 0 at the top'),
        (dict(step_ratio_up=1), 'step_ratio_up must be in'),
        (dict(cyclic_times=0), 'cyclic_times'),
        (dict(anneal_strategy='sin'), "anneal_strategy='sin' is unknown"),
    ],
)
def test_cycles_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        _build('CyclicLr', **arguments)


def test_an_inverse():
    built = _build('InverseLr', gamma=0.5, power=0.75, by_epoch=False)
    wanted = [LR * (1 + 0.5 * i) ** -0.75 for i in range(6)]
    assert _values(*built, 6) == pytest.approx(wanted, abs=1e-12)
    with pytest.raises(ValueError, match='gamma must be >= 0'):
        _build('InverseLr', gamma=-1)


@pytest.mark.parametrize(
    ('least', 'last'),
    [({}, 0), (dict(eta_min=0.01), 0.01), (dict(eta_min_ratio=0.1), 0.02)],
)
def test_a_cosine_that_begins_where_its_warm_up_ends(least, last):
    built = _build(
        'StepFixCosineLr',
        warmup=2,
        end=6,
        by_epoch=True,
        convert_to_iter_based=True,
        **least,
    )
    wanted = [
        _cos(LR, last, (i - 14) / 28) * min(i / 14, 1) for i in range(42)
    ]
    found = _values(*built, 42)
    assert found == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize('warmup', [0, 6, 7])
def test_a_warm_up_that_is_no_part_of_the_run(warmup):
    with pytest.raises(ValueError, match='warmup must be an int from 1 to 5'):
        _build('StepFixCosineLr', warmup=warmup, end=6)


@pytest.mark.parametrize(
    ('kind', 'arguments'),
    [
        ('CyclicLr', dict(cyclic_times=2)),
        ('InverseLr', dict(gamma=0.1)),
        ('StepFixCosineLr', dict(warmup=4)),
    ],
)
def test_goes_on_from_a_checkpoint(kind, arguments):
    arguments = dict(arguments, end=12, by_epoch=False)
    whole = _values(*_build(kind, **arguments), 12)
    optimizer, scheduler = _build(kind, **arguments)
    _values(optimizer, scheduler, 5)
    again, resumed = _build(kind, **arguments)
    again.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    assert _values(again, resumed, 7) == whole[5:]


def test_a_cosine_that_begins_later():
    run = _build('StepFixCosineLr', warmup=2, begin=3, end=13)
    late = _values(*run, 13)[3:]
    early = _values(*_build('StepFixCosineLr', warmup=2, end=10), 10)
    assert late == pytest.approx(early)


def test_groups_that_were_added_later_follow():
    optimizer, scheduler = _build(
        'LinearLrInterval', interval=1, start_factor=1.0, end_factor=0.5, end=5
    )
    more = torch.nn.Parameter(torch.zeros(1))
    optimizer.add_param_group(dict(params=[more], lr=LR))
    _values(optimizer, scheduler, 3)
    first, second = (group['lr'] for group in optimizer.param_groups)
    assert first < LR
    assert second < LR
