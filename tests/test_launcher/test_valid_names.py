import pytest
from mmengine.registry import HOOKS as ROOT_HOOKS
from mmengine.registry import Registry
from torch.utils.data import DataLoader

from mmamp.launcher.valid_names import valid_names
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


def test_of_others_nothing_is_said():
    assert what_is_valid(THINGS.build, dict(type='Base')) == ''
    assert valid_names(KeyError('x')) == ''
    # As of an error that came from another process.
    text = "Gone.__init__() got an unexpected keyword argument 'x'"
    assert valid_names(TypeError(text)) == ''
    assert what_is_valid(THINGS.build, dict(type='Clumsy')) == ''
