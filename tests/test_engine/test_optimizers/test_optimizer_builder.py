import functools
import sys

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import OPTIMIZERS as ROOT
from torch import nn
from torch.optim import SGD, Optimizer

import mmamp  # noqa: F401
from mmamp.errors import PackageExit

CONSTRUCTORS = (
    'mmamp.OptimWrapperConstructor',
    'mmamp.DefaultOptimWrapperConstructor',
)


class Named(SGD):
    """As adam-mini's: pairs, of which it makes groups itself."""

    def __init__(self, named_parameters, lr=0.1):
        groups = [dict(name=n, params=p) for n, p in named_parameters]
        super().__init__(groups, lr=lr)


class OfModel(SGD):
    """As pytorch-optimizer's AdamMini."""

    def __init__(self, model, lr=0.1):
        self.model = model
        super().__init__(model.parameters(), lr=lr)


class InBackward(SGD):
    """As LOMO: trained before anybody could step it."""

    def __init__(self, model, lr=0.1):
        for param in model.parameters():
            if param.requires_grad:
                param.register_post_accumulate_grad_hook(lambda p: None)
        super().__init__(model.parameters(), lr=lr)


class InHooks(SGD):
    """As LOMO's own package, on torch without such hooks."""

    def __init__(self, params, lr=0.1):
        super().__init__(params, lr=lr)
        for group in self.param_groups:
            for param in group['params']:
                if param.requires_grad:
                    param.register_hook(lambda grad: grad)


class Lookahead(Optimizer):
    """Wraps a built optimizer."""

    def __init__(self, optimizer, k=5):
        self.optimizer = optimizer
        super().__init__(optimizer.param_groups, optimizer.defaults)


class SAM(Optimizer):
    """Builds the optimizer that it wraps."""

    def __init__(self, params, base_optimizer, rho=0.05, **kwargs):
        super().__init__(params, dict(rho=rho, **kwargs))
        self.base_optimizer = base_optimizer(self.param_groups, **kwargs)
        self.param_groups = self.base_optimizer.param_groups


class Around(Optimizer):
    """Takes an optimizer or a class, and nothing for it."""

    def __init__(self, params, wrapped_optimizer=SGD, ball=0.1):
        super().__init__(params, dict(ball=ball))
        if isinstance(wrapped_optimizer, type):
            wrapped_optimizer = wrapped_optimizer(self.param_groups)
        self.wrapped_optimizer = wrapped_optimizer


class PlainOnly(SGD):
    """As heavyball's PSGDLRA: takes parameters, and no groups of them."""

    def __init__(self, params, lr=0.1):
        params = list(params)
        self.size = sum(p.numel() for p in params)
        super().__init__(params, lr=lr)


class NoGroups(Optimizer):
    def __init__(self, optimizer):
        self.optimizer = optimizer


class RateFree(SGD):
    """As Prodigy: finds ``d`` out, for one learning rate."""

    def __init__(self, params, lr=1.0):
        super().__init__(params, lr=lr)
        for group in self.param_groups:
            group['d'] = 1e-6


class BesideModel(SGD):
    """As pytorch-optimizer's GSAM."""

    def __init__(self, params, model, rho, lr=0.1):
        self.model = model
        super().__init__(params, lr=lr)


class Leaves(SGD):
    """As Lion of lion-pytorch without Triton."""

    def __init__(self, params, lr=0.1):
        print('triton is not installed,\nplease install it')
        sys.exit()


class Mute(SGD):
    def __init__(self, params, lr=0.1):
        if lr < 1:
            raise AssertionError


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(2, 2)
        self.head = nn.Linear(2, 2)
        self.head.bias.requires_grad_(False)


def build(optimizer, model=None, constructor=CONSTRUCTORS[1], **kwargs):
    model = model or Net()
    cfg = dict(constructor=constructor, optimizer=optimizer, **kwargs)
    return build_optim_wrapper(model, cfg).optimizer


def held(optimizer):
    return [p for g in optimizer.param_groups for p in g['params']]


@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_pairs_of_full_names_and_parameters(constructor):
    optimizer = build(dict(type=Named), constructor=constructor)
    names = [group['name'] for group in optimizer.param_groups]
    assert names[:3] == ['body.weight', 'body.bias', 'head.weight']


def test_names_are_full_in_an_entry_too():
    optimizer = build(
        dict(type=Named), constructor=CONSTRUCTORS[0], modules=['body']
    )
    names = [group['name'] for group in optimizer.param_groups]
    assert names == ['body.weight', 'body.bias']


@pytest.mark.parametrize('kind', [Named, OfModel])
def test_groups_that_it_makes_itself(kind):
    with pytest.raises(ValueError, match='makes its parameter groups itself'):
        build(dict(type=kind, lr=0.1), paramwise_cfg=dict(bias_lr_mult=2.0))


def test_some_of_the_parameters_by_names():
    rules = [dict(names='.*bias', optimizer=dict(type=Named)), dict()]
    named, sgd = build(dict(type='SGD', lr=1.0), param_groups=rules).members
    assert [group['name'] for group in named.param_groups] == ['body.bias']
    assert len(held(sgd)) == 2


@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_parameters_without_groups(constructor):
    optimizer = build(dict(type=PlainOnly), constructor=constructor)
    assert optimizer.size == sum(p.numel() for p in held(optimizer))


@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_what_one_without_groups_says(constructor):
    """Not what comes of a group in the place of a parameter."""
    with pytest.raises(ValueError, match='learning rate: -1'):
        build(dict(type=PlainOnly, lr=-1.0), constructor=constructor)


@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_a_network(constructor):
    model = Net()
    optimizer = build(dict(type=OfModel), model, constructor)
    assert optimizer.model is model
    optimizer = build(
        dict(type=OfModel), model, CONSTRUCTORS[0], modules=['body']
    )
    assert optimizer.model is model.body


@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_a_network_beside_parameters(constructor):
    model = Net()
    optimizer = build(dict(type=BesideModel, rho=1), model, constructor)
    assert optimizer.model is model


@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_an_argument_that_is_not_given(constructor):
    with pytest.raises(ValueError, match='BesideModel cannot .* `rho`: give'):
        build(dict(type=BesideModel), constructor=constructor)


def test_no_network_as_a_whole():
    text = 'OfModel takes one network with all .* 3 of 3 parameters of body, h'
    with pytest.raises(ValueError, match=text):
        build(
            dict(type=OfModel), None, CONSTRUCTORS[0], modules=['body', 'head']
        )
    rules = [dict(dims=[1], optimizer=dict(type=OfModel)), dict()]
    with pytest.raises(ValueError, match='1 of 3 parameters of the model'):
        build(dict(type='SGD', lr=1.0), param_groups=rules)


@pytest.mark.parametrize('kind', [InBackward, InHooks])
@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_trained_inside_of_backward(kind, constructor):
    text = f'{kind.__name__} trains inside of the backward pass'
    with pytest.raises(ValueError, match=text):
        build(dict(type=kind), constructor=constructor)


@pytest.mark.parametrize('inner', [dict(type='SGD', lr=0.3), 'SGD', SGD])
def test_a_wrapper_of_a_built_optimizer(inner):
    model = Net()
    optimizer = build(dict(type=Lookahead, k=3, optimizer=inner), model)
    assert type(optimizer.optimizer) is SGD
    assert held(optimizer) == list(model.parameters())
    rate = 0.3 if isinstance(inner, dict) else 1e-3
    assert optimizer.param_groups[0]['lr'] == rate


def test_multipliers_of_a_rate_inside():
    optimizer = build(
        dict(type=Lookahead, optimizer=dict(type='SGD', lr=0.3)),
        constructor=CONSTRUCTORS[0],
        paramwise_cfg=dict(bias_lr_mult=2.0),
    )
    assert [g['lr'] for g in optimizer.param_groups] == [0.3, 0.6, 0.3]


def test_a_setting_beside_a_built_optimizer():
    cfg = dict(type=Lookahead, lr=1.0, optimizer=dict(type='SGD', lr=0.3))
    with pytest.raises(ValueError, match=r"'lr' is .*in optimizer=dict\("):
        build(cfg)


@pytest.mark.parametrize(
    'cfg',
    [
        dict(base_optimizer=dict(type='SGD', lr=0.3, momentum=0.9)),
        dict(base_optimizer='SGD', lr=0.3, momentum=0.9),
    ],
)
def test_a_wrapper_that_builds(cfg):
    optimizer = build(dict(type=SAM, rho=0.1, **cfg))
    assert type(optimizer.base_optimizer) is SGD
    (group,) = optimizer.param_groups
    assert (group['lr'], group['momentum'], group['rho']) == (0.3, 0.9, 0.1)


def test_a_wrapper_of_either():
    optimizer = build(
        dict(type=Around, wrapped_optimizer=dict(type='SGD', lr=0.3))
    )
    assert optimizer.wrapped_optimizer.param_groups[0]['lr'] == 0.3
    # So that schedules are its, too.
    assert (
        optimizer.param_groups[0]
        is optimizer.wrapped_optimizer.param_groups[0]
    )
    optimizer = build(dict(type=Around, wrapped_optimizer='Adam'))
    assert type(optimizer.wrapped_optimizer) is torch.optim.Adam
    assert type(build(dict(type=Around)).wrapped_optimizer) is SGD


@pytest.mark.parametrize('kind', [Lookahead, SAM])
def test_a_wrapper_of_nothing(kind):
    with pytest.raises(ValueError, match='wraps another optimizer: give '):
        build(dict(type=kind))


def test_a_wrapped_name_that_is_wrong():
    with pytest.raises(ValueError, match="optimizer: there is no .*'SDG'"):
        build(dict(type=Lookahead, optimizer=dict(type='SDG', lr=0.3)))


def test_without_groups():
    with pytest.raises(ValueError, match='has no `param_groups`'):
        build(dict(type=NoGroups, optimizer='SGD'))


def test_rates_of_one_that_finds_its_own():
    cfg = dict(type=RateFree, lr=1.0)
    text = r"RateFree finds .* got 1 \('body.weight'\) and 2 \('body.bias'\)"
    with pytest.raises(ValueError, match=text):
        build(cfg, paramwise_cfg=dict(bias_lr_mult=2.0))
    optimizer = build(cfg, paramwise_cfg=dict(bias_lr_mult=0.0))
    assert {group['lr'] for group in optimizer.param_groups} == {0.0, 1.0}


@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_the_end_of_the_process(constructor, capsys):
    text = 'Leaves: triton is not installed, please install it .*ended by'
    with pytest.raises(PackageExit, match=text) as caught:
        build(dict(type=Leaves), constructor=constructor)
    assert f'{__file__}:' in str(caught.value)
    assert capsys.readouterr().out.startswith('triton is not installed,\n')


def test_an_error_without_words_shows_its_line():
    with pytest.raises(
        ValueError, match='AssertionError of `raise AssertionError`'
    ):
        build(dict(type=Mute))


@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_names(constructor):
    with pytest.raises(ValueError, match="no optimizer 'Adamm'; .*'Adam'"):
        build(dict(type='Adamm', lr=0.1), constructor=constructor)
    text = r'Prodigy is in prodigyopt: .*type=.prodigyopt\.Prodigy'
    with pytest.raises(ValueError, match=text):
        build(dict(type='Prodigy'), constructor=constructor)


@pytest.mark.skipif('Adafactor' in ROOT, reason='transformers has one')
def test_what_torch_s_is_registered_as():
    with pytest.raises(ValueError, match="Did you mean 'TorchAdafactor'"):
        build(dict(type='Adafactor', lr=0.1))


def test_import_paths():
    optimizer = build(dict(type='torch.optim.adamw.AdamW', lr=0.1))
    assert type(optimizer) is torch.optim.AdamW


def test_a_function_that_builds():
    make = functools.partial(SGD, lr=0.3)
    make.__name__ = 'make'
    assert build(dict(type=make)).param_groups[0]['lr'] == 0.3
