"""The learning rate goes down stairs, as in MMGeneration."""

import pytest
import torch
from mmengine.optim import LinearLR
from mmengine.registry import PARAM_SCHEDULERS

import mmamp  # noqa: F401


def _optimizer(*rates):
    groups = [
        dict(params=[torch.nn.Parameter(torch.zeros(1))], lr=rate)
        for rate in rates
    ]
    return torch.optim.SGD(groups, lr=1.0)


def _build(optimizer, **arguments):
    return PARAM_SCHEDULERS.build(
        dict(type='mmamp.LinearLrInterval', by_epoch=False, **arguments),
        default_args=dict(optimizer=optimizer, epoch_length=10),
    )


def _rates(optimizer, schedulers, steps):
    found = []
    for _ in range(steps):
        found.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return found


@pytest.mark.parametrize('interval', [1, 2, 3, 5])
@pytest.mark.parametrize(('first', 'last'), [(1, 0), (1, 0.25), (0.5, 2)])
@pytest.mark.parametrize('begin', [0, 4])
def test_follows_the_formula(interval, first, last, begin):
    total = 17
    optimizer = _optimizer(0.2, 0.1)
    scheduler = _build(
        optimizer,
        interval=interval,
        start_factor=first,
        end_factor=last,
        begin=begin,
        end=total,
    )
    rates = _rates(optimizer, [scheduler], total)
    for i, found in enumerate(rates):
        stairs = max(0, i - begin) // interval
        part = stairs / ((total - begin) // interval)
        factor = first + (last - first) * part if i >= begin else 1
        wanted = [x * factor for x in (0.2, 0.1)]
        assert found == pytest.approx(wanted, abs=1e-12)


def test_works_on_top_of_a_warm_up():
    optimizer = _optimizer(0.1)
    warm_up = LinearLR(optimizer, 0.5, by_epoch=False, end=5)
    scheduler = _build(optimizer, interval=2, begin=0, end=12)
    rates = _rates(optimizer, [warm_up, scheduler], 12)
    for i, (found,) in enumerate(rates):
        warm = min(1, 0.5 + 0.5 * i / 4)
        assert found == pytest.approx(0.1 * warm * (1 - i // 2 / 6))


def test_at_zero_it_stays():
    optimizer = _optimizer(0.1)
    scheduler = _build(optimizer, interval=3, end=8)
    rates = _rates(optimizer, [scheduler], 10)
    assert rates[6:] == [[0.0]] * 4


def test_goes_on_from_a_checkpoint():
    optimizer = _optimizer(0.2)
    scheduler = _build(optimizer, interval=2, end=10)
    whole = _rates(optimizer, [scheduler], 10)

    optimizer = _optimizer(0.2)
    scheduler = _build(optimizer, interval=2, end=10)
    _rates(optimizer, [scheduler], 5)
    again = _optimizer(0.2)
    resumed = _build(again, interval=2, end=10)
    again.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    assert _rates(again, [resumed], 5) == whole[5:]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(interval=0), 'interval must be an int >= 1'),
        (dict(start_factor=0, end=9), 'start_factor must be > 0'),
        (dict(interval=6, begin=5, end=10), 'less than an interval of 6'),
    ],
)
def test_what_is_no_flight_of_stairs_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        _build(_optimizer(0.1), **arguments)
