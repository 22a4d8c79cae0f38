import pytest
from mmengine.config import Config
from mmengine.registry import OPTIMIZERS as ROOT
from torch.optim import SGD

import mmamp
from mmamp.errors import UsageError
from mmamp.launcher.optimizers import (
    CONSTRUCTOR,
    check_optimizers,
    set_constructor,
)
from mmamp.registry import OPTIMIZERS

SGD_CFG = dict(type='SGD', lr=0.1)


def check(scope=None, **wrapper):
    check_optimizers(Config(dict(default_scope=scope, optim_wrapper=wrapper)))


def two(**second):
    return dict(
        constructor='another.Constructor',
        first=dict(optimizer=SGD_CFG),
        second=dict(optimizer=SGD_CFG) | second,
    )


@pytest.mark.parametrize(
    ('wrapper', 'label'),
    [
        (dict(optimizer=dict(type='SDG')), 'optim_wrapper:'),
        (two(optimizer=dict(type='SDG')), "optim_wrapper['second']:"),
        (
            two(param_groups=[dict(optimizer=dict(type='SDG')), dict()]),
            "optim_wrapper['second']: param_groups[0]:",
        ),
        (
            dict(optimizer=dict(type=SGD, base=dict(type='SDG'))),
            'optim_wrapper: base:',
        ),
    ],
)
def test_names_that_no_optimizer_has(wrapper, label):
    with pytest.raises(UsageError) as caught:
        check(**wrapper)
    text = str(caught.value)
    assert text.startswith(f"{label} there is no optimizer 'SDG'; there are ")
    assert "Did you mean 'SGD'?" in text


@pytest.mark.skipif('Adafactor' in ROOT, reason='transformers has one')
def test_a_name_of_torch_s_that_is_registered_as_another():
    with pytest.raises(UsageError, match="Did you mean 'TorchAdafactor'"):
        check(optimizer=dict(type='Adafactor'))


def test_names():
    OPTIMIZERS.register_module('OwnOfMmamp', module=SGD)
    try:
        check('mmamp', optimizer=dict(type='OwnOfMmamp'))
        check(None, optimizer=dict(type='OwnOfMmamp', _scope_='mmamp'))
        with pytest.raises(UsageError, match='OwnOfMmamp'):
            check('mmengine', optimizer=dict(type='OwnOfMmamp'))
    finally:
        OPTIMIZERS.module_dict.pop('OwnOfMmamp')
    for name in ('SGD', 'mmengine.SGD', 'torch.optim.SGD', SGD):
        check('mmengine', optimizer=dict(type=name))
    check(**two(param_groups=None))
    # Of which others say what is wrong with them.
    check(**two(optimizer=None))
    check(optimizer=dict(lr=0.1))
    check_optimizers(Config(dict(optim_wrapper=None)))


def constructor_of(wrapper, scope=None):
    cfg = Config(dict(default_scope=scope, optim_wrapper=wrapper))
    set_constructor(cfg)
    return (cfg.optim_wrapper or {}).get('constructor')


def test_the_constructor_of_a_single_optimizer():
    ours = dict(type='mmamp.AmpOptimWrapper', optimizer=SGD_CFG)
    for scope in (None, 'mmengine', 'mmamp', 'unknown'):
        assert constructor_of(ours, scope) == CONSTRUCTOR
    assert constructor_of(dict(ours, type=mmamp.AmpOptimWrapper))
    assert constructor_of(dict(ours, type='AmpOptimWrapper'), 'mmamp')
    assert constructor_of(dict(optimizer=SGD_CFG, param_groups=[dict()]))


@pytest.mark.parametrize(
    'wrapper',
    [
        None,
        dict(optimizer=SGD_CFG),
        dict(type='AmpOptimWrapper', optimizer=SGD_CFG),
        dict(type='Unknown', optimizer=SGD_CFG),
        dict(type='mmamp.AmpOptimWrapper', optimizer=None),
        dict(first=dict(type='mmamp.AmpOptimWrapper', optimizer=SGD_CFG)),
    ],
)
def test_of_others_it_is_mmengine_s(wrapper):
    assert constructor_of(wrapper) is None


def test_a_constructor_that_is_named_stays():
    own = dict(
        type='mmamp.AmpOptimWrapper', constructor='Own', optimizer=SGD_CFG
    )
    assert constructor_of(own) == 'Own'
