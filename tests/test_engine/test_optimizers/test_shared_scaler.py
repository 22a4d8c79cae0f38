"""Several optimizers, one loss scale."""

import pytest
import torch
from mmengine.config import ConfigDict
from torch import nn

from mmamp import OptimWrapperConstructor


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b, self.c = (nn.Linear(2, 1) for _ in range(3))


def build(model=None, **entries):
    default = dict(
        type='mmamp.AmpOptimWrapper',
        dtype='float16',
        loss_scale=dict(init_scale=64.0, growth_interval=2),
        optimizer=dict(type='SGD', lr=0.1),
    )
    entries = entries or {key: dict(loss_scaler='shared') for key in 'ab'}
    cfg = ConfigDict({k: {**default, **v} for k, v in entries.items()})
    return OptimWrapperConstructor(cfg)(model or Model())


def step(model, wrappers, name, bad=False):
    network = model.get_submodule(name)
    with wrappers[name].optim_context(network):
        loss = network(torch.ones(1, 2)).sum()
    wrappers[name].update_params(loss * (float('inf') if bad else 1))


def scale(wrappers, name='a'):
    return wrappers[name].loss_scaler.get_scale()


def test_by_default_each_has_its_own():
    wrappers = build(a={}, b={})
    assert wrappers['a'].loss_scaler is not wrappers['b'].loss_scaler


def test_groups_by_name(mm_log):
    wrappers = build(
        a=dict(loss_scaler='x'), b=dict(loss_scaler='x'), c=dict()
    )
    assert wrappers['a'].loss_scaler is wrappers['b'].loss_scaler
    assert wrappers['c'].loss_scaler is not wrappers['a'].loss_scaler
    assert "'a', 'b' share one loss scaler ('x')" in mm_log()


class TestCycle:
    def test_once_when_all_have_stepped(self):
        """Two steps of `a` and one of `b` are a cycle; two make it grow."""
        model = Model()
        wrappers = build(model)
        scales = []
        for name in 'aabaab':
            step(model, wrappers, name)
            scales.append(scale(wrappers))
        assert scales == [64, 64, 64, 64, 64, 128]

    @pytest.mark.parametrize('bad', range(3))
    def test_an_overflow_of_any_step_halves_it_once(self, bad):
        model = Model()
        wrappers = build(model)
        for i, name in enumerate('aab'):
            assert scale(wrappers) == 64
            step(model, wrappers, name, bad=i == bad)
        assert scale(wrappers) == 32
        skipped = [wrappers[n].skipped_steps for n in 'ab']
        assert skipped == ([0, 1] if bad == 2 else [1, 0])

    def test_two_overflows_in_a_cycle_halve_it_once(self):
        model = Model()
        wrappers = build(model)
        for name in 'aab':
            step(model, wrappers, name, bad=True)
        assert scale(wrappers) == 32

    def test_never_inside_of_a_window(self):
        """`b` is inside of a window of two when `a` ends the cycle."""
        model = Model()
        wrappers = build(
            model,
            a=dict(loss_scaler='shared'),
            b=dict(loss_scaler='shared', accumulative_counts=2),
        )
        wrappers['b'].initialize_count_status(model, 0, 100)
        for name in 'bbb':
            step(model, wrappers, name)
        step(model, wrappers, 'a', bad=True)
        assert scale(wrappers) == 64
        step(model, wrappers, 'b')
        assert scale(wrappers) == 32

    def test_a_step_without_gradients_counts(self):
        model = Model()
        wrappers = build(model)
        step(model, wrappers, 'a', bad=True)
        wrappers['b'].step()
        assert scale(wrappers) == 32

    def test_one_that_never_steps_is_not_waited_for_forever(self):
        model = Model()
        wrappers = build(model)
        for _ in range(100):
            assert scale(wrappers) == 64
            step(model, wrappers, 'a', bad=True)
        assert scale(wrappers) == 32


def test_goes_on_inside_of_a_cycle():
    model = Model()
    wrappers = build(model)
    step(model, wrappers, 'a', bad=True)
    state = wrappers.state_dict()

    resumed = build(model)
    resumed.load_state_dict(state)
    assert scale(resumed) == 64
    step(model, resumed, 'b')
    assert scale(resumed) == 32


def test_parameters_are_those_of_separate_scalers():
    """Powers of two round nothing: the scale does not matter."""
    models = [Model(), Model()]
    for model, entry in zip(
        models, [dict(loss_scaler='shared'), {}], strict=True
    ):
        wrappers = build(model, a=entry, b=entry)
        for i in range(12):
            for name in 'aab':
                step(model, wrappers, name, bad=i == 5)
    for p, q in zip(*(m.parameters() for m in models), strict=True):
        assert torch.equal(p, q)


class TestMistakes:
    def test_settings_that_differ(self):
        with pytest.raises(ValueError, match="'a' and 'b' share.*differ"):
            build(
                a=dict(loss_scaler='shared'),
                b=dict(loss_scaler='shared', loss_scale=128.0),
            )

    def test_a_group_of_one_is_warned_about(self, mm_log):
        build(a=dict(loss_scaler='mine'), b={})
        assert "loss_scaler='mine' is given for 'a' alone" in mm_log()

    @pytest.mark.parametrize('value', [3, '', ['a']])
    def test_no_name(self, value):
        with pytest.raises(TypeError, match='loss_scaler must be None'):
            build(a=dict(loss_scaler=value), b={})


def test_no_patience_inside_of_a_window_of_another():
    """Its gradients would be of two scales."""
    model = Model()
    wrappers = build(
        model,
        a=dict(
            loss_scaler='shared',
            loss_scale=dict(init_scale=8.0, growth_interval=1),
        ),
        b=dict(
            loss_scaler='shared',
            loss_scale=dict(init_scale=8.0, growth_interval=1),
            accumulative_counts=200,
        ),
    )
    scales = set()
    for _ in range(199):
        step(model, wrappers, 'a')
        step(model, wrappers, 'b')
        scales.add(scale(wrappers))
    assert scales == {8}
    step(model, wrappers, 'b')
    assert scale(wrappers) == 16
