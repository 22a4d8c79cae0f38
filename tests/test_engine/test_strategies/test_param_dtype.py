"""Which optimizer decides what a network is gathered in."""

import pytest
from torch import nn

from mmamp.engine.strategies.param_dtype import param_dtype_of

NAMES = ('generator_ab', 'generator_ba', 'generator_ab_ema', 'critic')


def entry(dtype=None, **kwargs):
    kind = 'OptimWrapper' if dtype is None else 'mmamp.AmpOptimWrapper'
    return dict(type=kind, optimizer=dict(type='Adam'), **kwargs) | (
        dict(dtype=dtype) if dtype else {}
    )


def dtypes(optim_wrapper, model=None):
    if model is None:
        model = nn.ModuleDict({name: nn.Linear(2, 2) for name in NAMES})
    return {
        name: str(
            param_dtype_of('auto', name, network, model, optim_wrapper)
        ).removeprefix('torch.')
        for name, network in model.items()
    }


@pytest.mark.parametrize(
    'modules',
    [['generator_ab', 'generator_ba'], 'generator_.*'],
)
def test_one_optimizer_of_several_networks(modules):
    found = dtypes(
        dict(
            constructor='OptimWrapperConstructor',
            generator=entry('bfloat16', modules=modules),
            discriminator=entry(modules=['critic']),
        )
    )
    assert set(list(found.values())[:3]) == {'bfloat16'}
    assert found['critic'] == 'float32'


def test_modules_of_a_single_optimizer():
    found = dtypes(entry('bfloat16', modules=['critic']))
    assert found.pop('critic') == 'bfloat16'
    assert set(found.values()) == {'float32'}


def test_a_single_optimizer_of_all():
    assert set(dtypes(entry('bfloat16')).values()) == {'bfloat16'}


def test_networks_by_their_names():
    found = dtypes(dict(critic=entry('float16'), generator_ab=entry()))
    assert found.pop('critic') == 'float16'
    assert set(found.values()) == {'float32'}


def test_a_network_of_two_optimizers(mm_log):
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model = nn.ModuleDict(dict(net=net))
    cfg = {'net.0': entry('bfloat16'), 'net.1': entry('bfloat16')}
    assert dtypes(cfg, model) == dict(net='bfloat16')
    cfg['net.1'] = entry()
    assert dtypes(cfg, model) == dict(net='float32')
    assert 'net is gathered in float32' in mm_log()
    assert 'its optimizers have different dtypes' in mm_log()
