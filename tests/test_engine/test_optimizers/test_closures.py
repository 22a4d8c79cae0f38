"""Optimizers whose step computes the loss again."""

import copy
import logging
from contextlib import suppress

import pytest
import torch
from mmengine.model import BaseModel
from sam import SAM
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.engine.optimizers.closures import Undo
from mmamp.errors import UsageError
from mmamp.utils.modules import with_inner

DTYPES = ['float32', 'bfloat16', 'float16']


class Model(BaseModel):
    """Regression, with dropout and BatchNorm; some batches blow up."""

    def __init__(self, dropout=0.0):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(
            nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1)
        )
        self.dropout = nn.Dropout(dropout)
        self.blows_up_at = None
        self.calls = 0

    def forward(self, inputs, target, mode='loss'):
        self.calls += 1
        y = self.body(self.dropout(inputs)).float()
        loss = (y - target).square().mean()
        if self.calls == self.blows_up_at:
            loss = loss * torch.inf
        return dict(loss=loss)


def batches(num, size=16):
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(4, 1, generator=generator)
    for _ in range(num):
        inputs = torch.randn(size, 4, generator=generator)
        yield dict(inputs=inputs, target=inputs @ weight)


def wrapped(model, kind=SAM, dtype='float32', **kwargs):
    optimizer = kind(model.parameters(), lr=0.05)
    kwargs.setdefault('loss_scale', 1024.0)
    return AmpOptimWrapper(optimizer, dtype=dtype, **kwargs)


def by_hand(model, kind, data):
    """Train in float32 without mmamp, as the paper has it."""
    optimizer = kind(model.parameters(), lr=0.05)
    losses = []
    for batch in data:

        def closure():
            optimizer.zero_grad()
            loss = model(**batch)['loss']  # noqa: B023
            loss.backward()
            return loss

        losses.append(float(closure().detach()))
        optimizer.step(closure)
    return losses


@pytest.mark.parametrize('kind', [SAM, torch.optim.LBFGS])
@pytest.mark.parametrize('dtype', DTYPES)
def test_a_models_own_loss(kind, dtype):
    """``train_step`` of MMEngine's models hands no closure to anybody."""
    model, twin = Model(), Model()
    wrapper = wrapped(model, kind, dtype)
    losses = [
        model.train_step(batch, wrapper)['loss'].item() for batch in batches(4)
    ]
    expected = by_hand(twin, kind, batches(4))
    tolerance = 1e-5 if dtype == 'float32' else 0.1
    assert losses == pytest.approx(expected, rel=tolerance, abs=tolerance)
    assert losses[-1] < losses[0]
    assert wrapper.skipped_steps == 0


@pytest.mark.parametrize('own_backward', [False, True])
@pytest.mark.parametrize('dtype', DTYPES)
def test_a_closure_that_is_given(dtype, own_backward):
    model, twin = Model(), Model()
    wrapper = wrapped(model, dtype=dtype)
    losses = []
    for batch in batches(4):

        def closure():
            wrapper.zero_grad()
            with wrapper.optim_context(model):
                loss = model(**batch)['loss']  # noqa: B023
            if own_backward:
                wrapper.backward(loss)
            return loss

        loss = closure()
        if not own_backward:
            wrapper.backward(loss)
        losses.append(float(loss.detach()))
        wrapper.step(closure=closure)
        wrapper.zero_grad()
    expected = by_hand(twin, SAM, batches(4))
    tolerance = 1e-5 if dtype == 'float32' else 0.05
    assert losses == pytest.approx(expected, rel=tolerance)


def test_a_closure_without_gradients_before():
    """As LBFGS is mostly called."""
    model = Model()
    wrapper = wrapped(model, torch.optim.LBFGS, 'float16')
    (batch,) = batches(1)

    def closure():
        wrapper.zero_grad()
        with wrapper.optim_context(model):
            loss = model(**batch)['loss']
        wrapper.backward(loss)
        return loss

    before = float(closure().detach())
    wrapper.zero_grad()
    for _ in range(3):
        wrapper.step(closure=closure)
    assert float(closure().detach()) < before / 2


@pytest.mark.parametrize('dtype', DTYPES)
def test_a_window_of_micro_batches_is_computed_again(dtype):
    """Its gradients are those of one batch of all."""
    torch.manual_seed(0)
    model, twin = Model(), Model()
    for each in (model, twin):
        each.body[1] = nn.Identity()
    whole, *_ = batches(1, size=32)
    halves = [{k: v[s] for k, v in whole.items()} for s in HALVES]
    small = wrapped(model, dtype=dtype, accumulative_counts=2)
    large = wrapped(twin, dtype=dtype)
    for _ in range(3):
        for half in halves:
            model.train_step(half, small)
        twin.train_step(whole, large)
    tolerance = 1e-5 if dtype == 'float32' else 5e-3
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0.01, atol=tolerance)


HALVES = (slice(0, 16), slice(16, 32))


def test_dropout_is_that_of_the_first_time():
    model = Model(dropout=0.5)
    seen = []
    model.dropout.register_forward_hook(
        lambda m, args, out: seen.append((out == 0).clone())
    )
    wrapper = wrapped(model, accumulative_counts=2)
    for batch in batches(4):
        model.train_step(batch, wrapper)
    first, second, first_again, second_again, third, *_ = seen
    assert torch.equal(first, first_again)
    assert torch.equal(second, second_again)
    assert not torch.equal(first, third)


@pytest.mark.parametrize('kind', [SAM, torch.optim.LBFGS])
@pytest.mark.parametrize('dtype', DTYPES)
def test_a_gradient_that_is_not_finite_undoes_the_step(kind, dtype):
    """One window, skipped: weights, states and buffers are what they were."""
    model = Model()
    wrapper = wrapped(model, kind, dtype)
    data = list(batches(4))
    model.train_step(data[0], wrapper)
    weights = copy.deepcopy(model.state_dict())
    state = copy.deepcopy(wrapper.optimizer.state_dict())
    model.blows_up_at = model.calls + 2
    model.train_step(data[1], wrapper)
    assert model.calls >= model.blows_up_at
    assert wrapper.skipped_steps == 1
    for key, value in model.state_dict().items():
        assert torch.equal(value, weights[key]), key
    after = wrapper.optimizer.state_dict()
    torch.testing.assert_close(after, state, rtol=0, atol=0)
    model.train_step(data[2], wrapper)
    assert wrapper.skipped_steps == 1
    assert not torch.equal(model.body[0].weight, weights['body.0.weight'])


@pytest.mark.parametrize('kind', [SAM, torch.optim.LBFGS])
def test_a_loss_that_is_nan_is_skipped(kind):
    model = Model()
    wrapper = wrapped(model, kind)
    first, second = batches(2)
    model.train_step(dict(first, inputs=first['inputs'] * torch.nan), wrapper)
    assert wrapper.skipped_steps == 1
    model.train_step(second, wrapper)
    assert wrapper.skipped_steps == 1


def test_a_forward_pass_that_was_given_up():
    model = Model()
    wrapper = wrapped(model)
    first, second, third = batches(3)
    with wrapper.optim_context(model):
        model(**first)
    wrapper.zero_grad()
    model.train_step(second, wrapper)
    with suppress(KeyError), wrapper.optim_context(model):
        model(**third)
        raise KeyError
    model.train_step(third, wrapper)
    assert wrapper.record.windows == 2


def test_gradients_that_are_dropped_between_forward_and_backward():
    model = Model()
    wrapper = wrapped(model)
    for batch in batches(2):
        with wrapper.optim_context(model):
            loss = model(**batch)['loss']
        wrapper.zero_grad()
        wrapper.backward(loss)
        wrapper.step()
    assert wrapper.record.windows == 2


def test_a_backward_pass_that_fails():
    model = Model()
    wrapper = wrapped(model)
    first, second = batches(2)
    with wrapper.optim_context(model):
        loss = model(**first)['loss']
    loss.register_hook(lambda grad: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        wrapper.update_params(loss)
    wrapper.zero_grad()
    model.train_step(second, wrapper)
    assert wrapper.record.windows == 1


def test_a_rate_that_is_a_tensor_is_a_number_after_a_skip():
    model = Model()
    optimizer = SAM(model.parameters(), lr=torch.tensor(0.05))
    wrapper = AmpOptimWrapper(optimizer, dtype='float32')
    model.blows_up_at = 2
    for batch in batches(2):
        model.train_step(batch, wrapper)
    assert wrapper.skipped_steps == 1
    assert type(optimizer.param_groups[0]['lr']) is float


def test_a_rate_that_is_a_tensor_stays_the_one_that_compiled_code_has():
    seen = []

    class Seen(SAM):
        def step(self, closure):
            seen.append(self.param_groups[0]['lr'])
            super().step(closure)

    model = Model()
    rate = torch.tensor(0.05)
    optimizer = Seen(model.parameters(), lr=rate)
    wrapper = AmpOptimWrapper(optimizer, dtype='float32')
    model.blows_up_at = 2
    for batch in batches(3):
        model.train_step(batch, wrapper)
    assert wrapper.skipped_steps == 1
    assert len(seen) == 3
    assert all(each is rate for each in seen)


def test_the_scale_falls_by_one_window():
    model = Model()
    wrapper = wrapped(model, dtype='float16', loss_scale='dynamic')
    (first, second, *_) = batches(4)
    model.train_step(first, wrapper)
    scale = wrapper.loss_scaler.get_scale()
    model.blows_up_at = model.calls + 2
    model.train_step(second, wrapper)
    assert wrapper.loss_scaler.get_scale() == scale / 2
    assert wrapper.record.windows == 2


def test_gradients_are_clipped_each_time():
    model = Model()
    norms = []

    class Watching(SAM):
        def step(self, closure):
            params = [p for g in self.param_groups for p in g['params']]
            for again in (False, True):
                if again:
                    with torch.enable_grad():
                        closure()
                norms.append(
                    torch.stack([p.grad.norm() for p in params]).norm().item()
                )

    wrapper = wrapped(
        model, Watching, 'float16', clip_grad=dict(max_norm=1e-3)
    )
    (batch,) = batches(1)
    model.train_step(batch, wrapper)
    assert norms == pytest.approx([1e-3, 1e-3], rel=0.01)


class TestWhatIsNotKnown:
    def test_two_calls(self):
        model = Model()
        wrapper = wrapped(model)
        first, second = batches(2)
        with wrapper.optim_context(model):
            loss = model(**first)['loss'] + model(**second)['loss']
        before = model.body[0].weight.clone()
        with pytest.raises(
            UsageError, match=r'SAM.*called 2 times.*step_kwargs.*Adam'
        ):
            wrapper.update_params(loss)
        assert torch.equal(model.body[0].weight, before)

    def test_another_loss(self):
        model = Model()
        wrapper = wrapped(model)
        (batch,) = batches(1)
        with wrapper.optim_context(model):
            loss = model(**batch)['loss'] * 2
        with pytest.raises(UsageError, match=r'SAM.*not what parse_losses'):
            wrapper.update_params(loss)

    def test_a_closure_for_each_micro_batch_is_the_way_out(self):
        model = Model()
        wrapper = wrapped(model, accumulative_counts=2)
        for batch in batches(4):

            def closure():
                with wrapper.optim_context(model):
                    return model(**batch)['loss'] * 2  # noqa: B023

            wrapper.update_params(closure(), step_kwargs=dict(closure=closure))
        assert wrapper.record.windows == 2
        assert model.calls == 8


def test_a_checkpoint_inside_of_a_window_drops_it(mm_log):
    model = Model()
    wrapper = wrapped(model, accumulative_counts=2)
    data = list(batches(4))
    assert not mm_log(logging.WARNING)
    model.train_step(data[0], wrapper)
    state = copy.deepcopy(wrapper.state_dict())
    told = mm_log(logging.WARNING)
    assert 'checkpoint is taken inside of a window of 2 micro-batch' in told
    assert 'SAM computes the losses of its micro-batches again' in told
    other = Model()
    resumed = wrapped(other, accumulative_counts=2)
    resumed.load_state_dict(state)
    resumed.initialize_count_status(other, 1, 4)
    assert 'SAM computes the losses' in mm_log(logging.WARNING)
    for batch in data[1:]:
        other.train_step(batch, resumed)
    assert resumed.record.windows == 2


class Around(torch.optim.Optimizer):
    """Holds another one, as Lookahead and SAM do."""

    def __init__(self, inner):
        self.inner = inner
        super().__init__(inner.param_groups, {})
        self.param_groups = inner.param_groups

    def step(self, closure=None):
        self.inner.step()
        self.steps += 1
        self.total += 1


def test_undo_reaches_what_is_inside():
    param = nn.Parameter(torch.ones(2))
    inner = torch.optim.SGD([param], lr=0.1, momentum=0.9)
    outer = Around(inner)
    assert with_inner(outer) == [outer, inner]
    param.grad = torch.ones(2)
    outer.steps, outer.total = 0, torch.zeros(())
    outer.step()
    before = copy.deepcopy(inner.state_dict())
    undo = Undo(outer)
    assert not undo.moved()
    inner.param_groups[0].update(counter=1, kept={param: 1})
    outer.step()
    outer.anew = [1]
    assert undo.moved()
    undo()
    assert not undo.moved()
    torch.testing.assert_close(inner.state_dict(), before, rtol=0, atol=0)
    assert outer.param_groups[0]['params'][0] is param
    assert (outer.steps, float(outer.total)) == (1, 1)
    assert not hasattr(outer, 'anew')


def test_undo_leaves_parameters_what_they_are():
    """Whatever stands under them in a group is found again."""
    param = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([param], lr=0.1)
    (group,) = optimizer.param_groups
    group['kept'] = {param: dict(step=1)}
    undo = Undo(optimizer)
    group['kept'][param]['step'] = 2
    undo()
    assert group['kept'] == {param: dict(step=1)}


class Sharing(torch.optim.SGD):
    """Two attributes hold one tensor, and one names the groups."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr)
        self.groups, self.last, self.gone = self.param_groups, None, 'here'
        shared = torch.zeros(1)
        self.one, self.other = [shared], dict(shared=shared)

    def state_dict(self):
        return super().state_dict()


def test_undo_keeps_what_attributes_share():
    optimizer = Sharing([nn.Parameter(torch.ones(2))])
    undo = Undo(optimizer)
    optimizer.one[0] += 1
    optimizer.last = 0.5
    del optimizer.gone
    undo()
    assert optimizer.one[0] is optimizer.other['shared']
    assert float(optimizer.one[0]) == 0
    assert (optimizer.last, optimizer.gone) == (None, 'here')
    assert optimizer.groups is optimizer.param_groups


def test_undo_keeps_a_state_that_is_the_weight():
    param = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([param], lr=0.1)
    optimizer.state[param]['now'] = param.detach()
    undo = Undo(optimizer)
    undo()
    with torch.no_grad():
        param.add_(1)
    assert torch.equal(optimizer.state[param]['now'], param)


class StillsTheNorms(SAM):
    """Has BatchNorm not count its last forward pass, nor any after it."""

    def step(self, closure):
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.momentum = 0
        return super().step(closure)


def test_batch_norm_goes_on_after_a_step():
    """WSAM of pytorch-optimizer leaves its momentum at 0."""
    model = Model()
    wrapper = wrapped(model, StillsTheNorms)
    wrapper.optimizer.network = model
    (batch,) = batches(1)
    for _ in range(2):
        before = model.body[1].running_mean.clone()
        model.train_step(batch, wrapper)
        assert model.body[1].momentum == 0.1
        assert not torch.equal(model.body[1].running_mean, before)
