"""A step that fails is told by the optimizer's name, not by a traceback."""

import pytest
import torch
from sam import SAM
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.engine.optimizers.joint_optimizer import JointOptimizer
from mmamp.errors import OptimizerError, UsageError


class Failing(torch.optim.SGD):
    """Looks at its settings in its first step only."""

    error = RuntimeError('momentum of\n  0.5 is too small')

    def step(self, closure=None):
        raise self.error


class FailingSAM(SAM, Failing):
    """Fails once it has computed the loss again."""


class LosingSAM(SAM):
    """Makes something else of what it does not know."""

    def step(self, closure):
        try:
            super().step(closure)
        except KeyError as error:
            raise RuntimeError('no loss') from error


def wrapped(kind, dtype='float32', error=None):
    model = nn.Linear(2, 1)
    optimizer = kind(model.parameters(), lr=0.1)
    if error is not None:
        optimizer.error = error
    wrapper = AmpOptimWrapper(optimizer, dtype=dtype, loss_scale=1.0)
    wrapper.name = 'generator'
    return model, wrapper


def update(model, wrapper, calls=None):
    def closure():
        with wrapper.optim_context(model):
            loss = model(torch.ones(1, 2)).sum()
        if calls is not None:
            calls.remove('first')
        return loss

    step_kwargs = dict(closure=closure) if wrapper.evaluates else None
    wrapper.update_params(closure(), step_kwargs=step_kwargs)


@pytest.mark.parametrize('dtype', ['float32', 'float16'])
@pytest.mark.parametrize('kind', [Failing, FailingSAM])
def test_in_one_line(kind, dtype):
    model, wrapper = wrapped(kind, dtype)
    with pytest.raises(OptimizerError) as caught:
        update(model, wrapper)
    assert str(caught.value) == (
        f"AmpOptimWrapper 'generator': the step of {kind.__name__} "
        '(tests) has failed: RuntimeError: momentum of 0.5 is too '
        'small'
    )
    assert caught.value.__cause__ is Failing.error


def test_without_words():
    model, wrapper = wrapped(Failing, error=AssertionError())
    with pytest.raises(
        OptimizerError, match=r'failed: AssertionError: `raise self\.error`'
    ):
        update(model, wrapper)


def test_loops_that_look_for_an_error_find_it():
    model, wrapper = wrapped(Failing)
    with pytest.raises(RuntimeError, match='too small'):
        update(model, wrapper)


def test_of_two_the_one_that_has_failed():
    model = nn.Linear(2, 1)
    optimizer = JointOptimizer(
        [torch.optim.SGD([model.weight]), Failing([model.bias])]
    )
    with pytest.raises(OptimizerError, match=r'the step of Failing \('):
        update(model, AmpOptimWrapper(optimizer, dtype='float32'))


@pytest.mark.parametrize(
    'error', [UsageError('in words'), torch.cuda.OutOfMemoryError('all of it')]
)
def test_what_is_no_error_of_the_optimizer(error):
    model, wrapper = wrapped(Failing, error=error)
    with pytest.raises(type(error)) as caught:
        update(model, wrapper)
    assert caught.value is error


@pytest.mark.parametrize('kind', [SAM, LosingSAM])
def test_an_error_of_the_loss(kind):
    """It is the model's, unless the optimizer makes another of it."""
    model, wrapper = wrapped(kind)
    expected = OptimizerError if kind is LosingSAM else KeyError
    with pytest.raises(
        expected, match='loss' if kind is LosingSAM else 'first'
    ):
        update(model, wrapper, {'first'})
