from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import PARAM_SCHEDULERS, Registry
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from mmamp.launcher.valid_names import unknown_type, valid_names
from mmamp.registry import MODELS

THINGS = Registry('thing')


@THINGS.register_module()
class Base:
    def __init__(self, first, *rest, second=2):
        pass


@THINGS.register_module()
class Derived(Base):
    def __init__(self, *args, third=3, **kwargs):
        super().__init__(*args, **kwargs)


@THINGS.register_module()
class Outer:
    def __init__(self, inner):
        THINGS.build(inner)


@THINGS.register_module()
class Clumsy(Base):
    """Whose own code is at fault, not the config."""

    def __init__(self, first=0):
        Base.__init__(self, first, wrong=1)


def what_is_valid(build, *args, **kwargs):
    with pytest.raises((TypeError, KeyError)) as caught:
        build(*args, **kwargs)
    return valid_names(caught.value)


def test_arguments_through_all_bases():
    cfg = dict(type='Derived', secnd=1)
    expected = "; Derived takes third, first, second. Did you mean 'second'?"
    assert what_is_valid(THINGS.build, cfg) == expected


def test_of_the_class_that_failed_not_of_the_one_around_it():
    inner = dict(type='Base', first=1, other=1)
    cfg = dict(type='Outer', inner=inner)
    assert what_is_valid(THINGS.build, cfg) == '; Base takes first, second.'


def test_of_a_class_that_no_registry_builds():
    text = what_is_valid(DataLoader, [1], batch=3)
    assert text.startswith('; DataLoader takes dataset, batch_size, ')
    assert text.endswith("Did you mean 'batch_size'?")


def test_an_error_that_was_put_into_words_meanwhile():
    def build():
        try:
            THINGS.build(dict(type='Base', first=1, scond=2))
        except TypeError as error:
            raise TypeError(f'here: {error}') from error

    assert "Did you mean 'second'?" in what_is_valid(build)


def test_an_error_that_names_itself_as_its_cause():
    def build():
        try:
            THINGS.build(dict(type='Derivd'))
        except KeyError as error:
            raise error from error

    assert "Did you mean 'Derived'?" in what_is_valid(build)


def test_a_type_of_a_package_that_is_not_there():
    assert what_is_valid(THINGS.build, dict(type='foreign.Derived')) == ''


def test_a_type_of_another_scope_that_is_there():
    text = what_is_valid(ROOT_HOOKS.build, dict(type='mmamp.PrecisonHook'))
    assert ' OverflowHook,' in text
    assert "Did you mean 'PrecisionHook" in text


def test_of_many_types_those_of_the_scope():
    text = what_is_valid(MODELS.build, dict(type='mmamp.DCGANGenerato'))
    assert ' ImageGAN,' in text
    assert ' Conv2d,' not in text
    assert " Did you mean 'DCGANGenerator' or " in text


def test_types():
    text = what_is_valid(THINGS.build, dict(type='Derivd'))
    expected = (
        "; there are Base, Clumsy, Derived, Outer. Did you mean 'Derived'?"
    )
    assert text == expected


SPACED = Registry('data thing')


@SPACED.register_module()
class Sampler:
    pass


def test_a_registry_whose_name_has_a_space():
    with pytest.raises(KeyError) as caught:
        SPACED.build(dict(type='Samler'))
    text = "; there are Sampler. Did you mean 'Sampler'?"
    assert valid_names(caught.value) == text
    text = 'Samler is not in the tests::data thing registry'
    assert unknown_type(caught.value) == ('Samler', text)


def loader(**cfg):
    Runner.build_dataloader(
        dict(dict(batch_size=1, dataset=[1], sampler=None), **cfg)
    )


def wrapped(cfg):
    runner = SimpleNamespace(
        distributed=True,
        cfg=dict(model_wrapper_cfg=cfg),
    )
    Runner.wrap_model(runner, cfg, nn.Linear(1, 1))


def optimizer(name):
    cfg = dict(optimizer=dict(type=name, lr=0.1))
    build_optim_wrapper(nn.Linear(1, 1), cfg)


@pytest.mark.parametrize(
    ('build', 'given', 'near', 'registry'),
    [
        (lambda: optimizer('Adamm'), 'Adamm', 'Adam', 'optimizer'),
        (
            lambda: loader(collate_fn=dict(type='default_colate')),
            'default_colate',
            'default_collate',
            'function',
        ),
        (
            lambda: loader(worker_init_fn=dict(type='default_colate')),
            'default_colate',
            'default_collate',
            'function',
        ),
        (
            lambda: wrapped(dict(type='MMDistributedDataParalel')),
            'MMDistributedDataParalel',
            'MMDistributedDataParallel',
            'model_wrapper',
        ),
    ],
)
def test_types_that_mmengine_looks_up_by_itself(build, given, near, registry):
    with pytest.raises((TypeError, AssertionError)) as caught:
        build()
    text = f'{given} is not in the mmengine::{registry} registry'
    assert unknown_type(caught.value) == (given, text)
    assert f"Did you mean '{near}'" in valid_names(caught.value)


def test_of_others_nothing_is_said():
    assert what_is_valid(THINGS.build, dict(type='Base')) == ''
    assert valid_names(KeyError('x')) == ''
    # As of an error that came from another process.
    text = "Gone.__init__() got an unexpected keyword argument 'x'"
    assert valid_names(TypeError(text)) == ''
    assert what_is_valid(THINGS.build, dict(type='Clumsy')) == ''
    assert unknown_type(TypeError(text)) is None
    # Which has variables of the same names.
    with pytest.raises(ValueError, match='batch_size') as caught:
        loader(batch_size=-1)
    assert unknown_type(caught.value) is None


class Clipped(torch.optim.SGD):
    """Without a learning rate, as AliG."""

    def __init__(self, params, max_lr):
        super().__init__(params, lr=1.0, momentum=0.9)
        self.param_groups[0]['max_lr'] = max_lr
        del self.param_groups[0]['lr']


class Relative(Clipped):
    """With none, as Adafactor that steps relative to the weights."""

    def __init__(self, params, max_lr):
        super().__init__(params, max_lr)
        self.param_groups[0]['lr'] = None


@pytest.mark.parametrize('kind', [Clipped, Relative])
@pytest.mark.parametrize('wrapped', [True, False])
def test_a_schedule_of_what_an_optimizer_has_not(wrapped, kind):
    optimizer = kind(nn.Linear(1, 1).parameters(), max_lr=0.1)
    if wrapped:
        optimizer = OptimWrapper(optimizer)
    cfg = dict(type='LinearLR', optimizer=optimizer)
    text = what_is_valid(PARAM_SCHEDULERS.build, cfg)
    name = kind.__name__
    start = f": LinearLR changes 'lr', which {name} has not; it has "
    assert text.startswith(start)
    assert 'momentum' in text
    assert 'max_lr' in text


def test_packages_of_optimizers():
    with pytest.raises(TypeError) as caught:
        optimizer('CAME')
    assert "type='came_pytorch.CAME'" in valid_names(caught.value)
