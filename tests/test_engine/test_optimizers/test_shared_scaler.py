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
        """At once: nobody makes another window at a scale that is too high."""
        model = Model()
        wrappers = build(model)
        for i, name in enumerate('aab'):
            assert scale(wrappers) == (32 if i > bad else 64)
            step(model, wrappers, name, bad=i == bad)
        assert scale(wrappers) == 32
        skipped = [wrappers[n].skipped_steps for n in 'ab']
        assert skipped == ([0, 1] if bad == 2 else [1, 0])

    def test_a_cycle_with_an_overflow_does_not_count_to_growth(self):
        model = Model()
        wrappers = build(model)
        for name, bad in zip('abab', [True, False, False, False], strict=True):
            step(model, wrappers, name, bad=bad)
        assert scale(wrappers) == 32
        for name in 'ab':
            step(model, wrappers, name)
        assert scale(wrappers) == 64

    def test_every_overflow_at_the_present_scale_halves_it(self):
        model = Model()
        wrappers = build(model)
        for name in 'aab':
            step(model, wrappers, name, bad=True)
        assert scale(wrappers) == 8

    def test_a_window_says_nothing_of_a_scale_that_came_later(self):
        """Both are made at 64, and both are too large for it: 32 is not."""
        model = Model()
        entry = dict(loss_scaler='shared', accumulative_counts=2)
        wrappers = build(model, a=entry, b=entry)
        for wrapper in wrappers.values():
            wrapper.initialize_count_status(model, 0, 100)
        for name in 'abab':
            step(model, wrappers, name, bad=True)
        assert scale(wrappers) == 32

    def test_a_window_keeps_its_scale(self):
        """`b` is inside of a window of two when `a` overflows."""
        model, alone = Model(), Model()
        wrappers = build(
            model,
            a=dict(loss_scaler='shared'),
            b=dict(loss_scaler='shared', accumulative_counts=2),
        )
        expected = build(alone, a={}, b=dict(accumulative_counts=2))
        for net, found in ((model, wrappers), (alone, expected)):
            found['b'].initialize_count_status(net, 0, 100)
            step(net, found, 'b')
            step(net, found, 'a', bad=True)
            step(net, found, 'b')
        assert scale(wrappers) == 32
        assert wrappers['b'].record.windows == 1
        assert torch.equal(model.b.weight, alone.b.weight)

    def test_a_window_of_a_higher_scale_is_not_stuck(self):
        model = Model()
        wrappers = build(
            model,
            a=dict(
                loss_scaler='shared',
                loss_scale=dict(init_scale=2.0),
                accumulative_counts=2,
            ),
            b=dict(loss_scaler='shared', loss_scale=dict(init_scale=2.0)),
        )
        step(model, wrappers, 'a')
        step(model, wrappers, 'b', bad=True)
        assert scale(wrappers) == 1
        step(model, wrappers, 'a', bad=True)
        assert wrappers['a'].skipped_steps == 1
        assert wrappers['a'].stuck_steps == 0
        for stuck in (1, 2):
            step(model, wrappers, 'b', bad=True)
            assert wrappers['b'].stuck_steps == stuck

    def test_gradients_that_are_dropped(self):
        """They hold nobody up."""
        model = Model()
        wrappers = build(model)
        wrappers['a'].backward(model.a(torch.ones(1, 2)).sum())
        wrappers['a'].zero_grad()
        step(model, wrappers, 'b', bad=True)
        assert scale(wrappers) == 32

    def test_a_step_without_gradients_counts(self):
        model = Model()
        wrappers = build(model)
        step(model, wrappers, 'a', bad=True)
        wrappers['b'].step()
        assert scale(wrappers) == 32

    def test_one_that_never_steps_holds_nobody_up(self):
        model = Model()
        wrappers = build(model)
        step(model, wrappers, 'a', bad=True)
        assert scale(wrappers) == 32
        for _ in range(298):
            step(model, wrappers, 'a')
        assert scale(wrappers) == 32
        step(model, wrappers, 'a')
        assert scale(wrappers) == 64


def test_scaled_by_hand():
    """Each optimizer's gradients, at the scale that one loss had."""
    model, expected = Model(), Model()
    wrappers = build(model)
    x = torch.ones(1, 2)
    model.a(x).sum().backward()
    for name, factor in (('a', float('inf')), ('b', 1)):
        loss = model.a(x).sum() * factor + model.b(x).sum()
        wrappers['a'].zero_grad()
        wrappers['b'].zero_grad()
        wrappers['a'].loss_scaler.scale(loss).backward()
        wrappers['a'].step()
        wrappers['b'].step()
        assert wrappers['a'].step_was_skipped == (name == 'a')
        expected.zero_grad()
        (expected.a(x) + expected.b(x)).sum().backward()
        for name_of in 'ab'[name == 'a' :]:
            for param in expected.get_submodule(name_of).parameters():
                param.data -= 0.1 * param.grad
    for p, q in zip(model.parameters(), expected.parameters(), strict=True):
        assert torch.equal(p, q)
    assert scale(wrappers) == 32


def test_goes_on_inside_of_a_cycle():
    """A cycle of an overflow, of which `b` has not ended its part."""
    model = Model()
    wrappers = build(model)
    step(model, wrappers, 'a', bad=True)
    state = wrappers.state_dict()

    resumed = build(model)
    resumed.load_state_dict(state)
    assert scale(resumed) == 32
    for name in 'bab':
        step(model, resumed, name)
    assert scale(resumed) == 32
    for name in 'ab':
        step(model, resumed, name)
    assert scale(resumed) == 64


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
