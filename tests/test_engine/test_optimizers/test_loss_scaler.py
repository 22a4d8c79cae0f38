import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mmamp.engine.optimizers.loss_scaler import (
    LossScaler,
    ShardedLossScaler,
    build_loss_scaler,
)

CLASSES = [LossScaler, ShardedLossScaler]


def window(scaler, net, optimizer, finite):
    """One step as a wrapper makes it; returns the scale after it."""
    loss = net(torch.ones(1, 1)).sum() * (1.0 if finite else float('inf'))
    scaler.scale(loss).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    optimizer.zero_grad()
    return scaler.get_scale()


def play(scaler, outcomes):
    net = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    return [window(scaler, net, optimizer, ok) for ok in outcomes]


def reference(outcomes, scale, interval, low, high, hysteresis):
    """The rules, in plain Python."""
    scales, good, left = [], 0, hysteresis
    for ok in outcomes:
        if ok:
            good += 1
            if good == interval:
                scale, good, left = scale * 2, 0, hysteresis
        else:
            good, left = 0, max(left - 1, 0)
            if left == 0:
                scale /= 2
        scale = min(max(scale, low), high)
        scales.append(scale)
    return scales


@settings(max_examples=60, deadline=None)
@given(
    outcomes=st.lists(st.booleans(), max_size=40),
    interval=st.integers(1, 4),
    low=st.sampled_from([0.25, 1.0, 8.0]),
    high=st.sampled_from([16.0, 1024.0]),
    hysteresis=st.integers(1, 4),
)
def test_any_sequence_follows_the_reference(
    outcomes, interval, low, high, hysteresis
):
    scaler = LossScaler(
        'cpu',
        init_scale=16.0,
        growth_interval=interval,
        min_scale=low,
        max_scale=high,
        hysteresis=hysteresis,
    )
    assert play(scaler, outcomes) == reference(
        outcomes, 16.0, interval, low, high, hysteresis
    )


@pytest.mark.parametrize('cls', CLASSES)
def test_defaults_are_torchs(cls):
    if cls is ShardedLossScaler:
        pytest.importorskip('torch.distributed')
        if not torch.distributed.is_available():
            pytest.skip('torch without distributed')
    outcomes = [True, True, False, True, True, True, False, True]
    kwargs = dict(init_scale=64.0, growth_interval=2)
    expected = play(torch.amp.GradScaler('cpu', **kwargs), outcomes)
    if cls is ShardedLossScaler:
        with single_process_group():
            assert play(cls('cpu', **kwargs), outcomes) == expected
    else:
        assert play(cls('cpu', **kwargs), outcomes) == expected


class single_process_group:
    def __enter__(self):
        torch.distributed.init_process_group(
            'gloo',
            store=torch.distributed.HashStore(),
            rank=0,
            world_size=1,
        )

    def __exit__(self, *_):
        torch.distributed.destroy_process_group()


def test_small_first_scale_lowers_the_bound():
    assert LossScaler('cpu').min_scale == 1
    assert LossScaler('cpu', init_scale=0.5).min_scale == 0.5


def test_state_goes_round():
    scaler = LossScaler('cpu', init_scale=64.0, hysteresis=3)
    play(scaler, [False, True])
    state = scaler.state_dict()
    assert state['_hysteresis_left'] == 2
    other = LossScaler('cpu', hysteresis=3)
    other.load_state_dict(state)
    assert other.state_dict() == {**other.state_dict(), **state}
    assert play(other, [False, False]) == play(scaler, [False, False])


def test_reads_torchs_and_is_read_by_torch():
    theirs = torch.amp.GradScaler('cpu', init_scale=32.0)
    play(theirs, [True])
    ours = LossScaler('cpu')
    ours.load_state_dict(theirs.state_dict())
    assert ours.get_scale() == 32
    assert ours.state_dict()['_growth_tracker'] == 1
    back = torch.amp.GradScaler('cpu')
    back.load_state_dict(ours.state_dict())
    assert back.state_dict() == theirs.state_dict()


def test_loads_into_the_bounds():
    scaler = LossScaler('cpu', max_scale=128.0, init_scale=2.0)
    state = LossScaler('cpu', init_scale=1024.0).state_dict()
    scaler.load_state_dict(state)
    assert scaler.get_scale() == 128


@pytest.mark.parametrize('interval', [1, 2, 20])
def test_grows_by_a_shorter_interval_than_it_was_saved_with(interval):
    saved = LossScaler('cpu', init_scale=4.0)
    play(saved, [True] * 30)
    scaler = LossScaler('cpu', growth_interval=interval)
    scaler.load_state_dict(saved.state_dict())
    play(scaler, [True] * interval)
    assert scaler.get_scale() >= 8


def test_disabled_does_nothing():
    scaler = LossScaler('cpu', enabled=False)
    assert scaler.state_dict() == {}
    scaler.load_state_dict(LossScaler('cpu').state_dict())
    scaler.update()
    assert scaler.get_scale() == 1
    assert scaler.is_unscaled(None)


@pytest.mark.parametrize(
    ('kwargs', 'name'),
    [
        (dict(growth_factor=1), 'growth_factor'),
        (dict(backoff_factor=1), 'backoff_factor'),
        (dict(backoff_factor=0), 'backoff_factor'),
        (dict(growth_interval=0), 'growth_interval'),
        (dict(hysteresis=0), 'hysteresis'),
        (dict(min_scale=0), 'min_scale'),
        (dict(init_scale=2, min_scale=4), 'init_scale'),
        (dict(init_scale=8, max_scale=4), 'init_scale'),
    ],
)
def test_refuses_what_cannot_work(kwargs, name):
    with pytest.raises(ValueError, match=f'loss_scale: {name} must be'):
        LossScaler('cpu', **kwargs)


def test_build_gives_the_sharded_form():
    scaler = build_loss_scaler('dynamic', 'cpu', enabled=True, sharded=True)
    assert isinstance(scaler, ShardedLossScaler)
