import logging

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

import mmamp  # noqa: F401
from mmamp.engine.optimizers.joint_optimizer import JointOptimizer

CONSTRUCTORS = (
    'mmamp.OptimWrapperConstructor',
    'mmamp.DefaultOptimWrapperConstructor',
)


class Matrices(torch.optim.SGD):
    """Refuses what is no matrix, as torch's Muon does."""

    def __init__(self, params, lr=0.1, **kwargs):
        super().__init__(params, lr=lr, **kwargs)
        for group in self.param_groups:
            for p in group['params']:
                if p.ndim != 2:
                    raise ValueError(f'only 2D, but got {p.shape}')


class Flagged(torch.optim.SGD):
    """Asks for a flag in each group."""

    def __init__(self, params, lr=0.1):
        for group in params:
            if 'use_muon' not in group:
                raise ValueError('`use_muon` must be set.')
            group.setdefault('lr', lr)
        super().__init__(params, 1.0)
        self.defaults = {}


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1)
        self.embed = nn.Embedding(3, 2)
        self.norm = nn.BatchNorm2d(2)
        self.head = nn.Linear(2, 2)
        self.head.weight.requires_grad_()


ADAM = dict(type='AdamW', lr=0.1, weight_decay=0.5)
MATRICES = dict(dims=[2], exclude='embed.*')


def build(rules, optimizer=ADAM, constructor=CONSTRUCTORS[1], **kwargs):
    torch.manual_seed(0)
    model = Net()
    cfg = dict(
        type='mmamp.AmpOptimWrapper',
        dtype='bfloat16',
        constructor=constructor,
        optimizer=optimizer,
        param_groups=rules,
        **kwargs,
    )
    return model, build_optim_wrapper(model, cfg)


def names_of(model, group):
    return [
        name
        for name, param in model.named_parameters()
        if any(param is p for p in group['params'])
    ]


REST = ['conv.weight', 'conv.bias', 'embed.weight', 'norm.weight']
REST += ['norm.bias', 'head.bias']


@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_settings_of_groups(constructor):
    rules = [dict(MATRICES, lr=0.2), dict(names=['.*bias']), dict()]
    model, wrapper = build(rules, constructor=constructor)
    assert type(wrapper.optimizer) is torch.optim.AdamW
    first, second, third = wrapper.optimizer.param_groups
    assert names_of(model, first) == ['head.weight']
    assert names_of(model, second) == ['conv.bias', 'norm.bias', 'head.bias']
    assert [g['lr'] for g in (first, second, third)] == [0.2, 0.1, 0.1]


@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_an_optimizer_of_its_own(constructor):
    own = dict(type=Matrices, lr=0.2)
    rules = [dict(MATRICES, optimizer=own), dict()]
    model, wrapper = build(rules, constructor=constructor)
    optimizer = wrapper.optimizer
    assert type(optimizer) is JointOptimizer
    assert [type(x) for x in optimizer.members] == [
        Matrices,
        torch.optim.AdamW,
    ]
    first, second = optimizer.param_groups
    assert names_of(model, first) == ['head.weight']
    assert names_of(model, second) == REST
    assert wrapper.get_lr()['lr'] == [0.2, 0.1]


def test_rules_without_an_optimizer_share_the_entry_s():
    rules = [
        dict(names='conv.*'),
        dict(MATRICES, optimizer=dict(type=Matrices)),
        dict(lr=0.3),
    ]
    _, wrapper = build(rules)
    adam, own = wrapper.optimizer.members
    assert [g['lr'] for g in adam.param_groups] == [0.1, 0.3]
    assert len(own.param_groups) == 1


def test_a_flag_makes_one_optimizer():
    rules = [dict(MATRICES, use_muon=True), dict(use_muon=False, lr=0.3)]
    model, wrapper = build(rules, dict(type=Flagged))
    assert type(wrapper.optimizer) is Flagged
    first, second = wrapper.optimizer.param_groups
    assert (first['use_muon'], second['use_muon']) == (True, False)
    assert names_of(model, first) == ['head.weight']
    # MMEngine asks for a base rate, which this optimizer has in groups alone.
    assert wrapper.get_lr() == dict(base_lr=[0.1], lr=[0.1, 0.3])


@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_with_paramwise_cfg(constructor):
    own = dict(type=Matrices, lr=0.2, weight_decay=0.1)
    rules = [dict(MATRICES, optimizer=own), dict(lr=0.3)]
    options = dict(
        norm_decay_mult=0.0, custom_keys=dict(head=dict(lr_mult=0.5))
    )
    model, wrapper = build(
        rules, constructor=constructor, paramwise_cfg=options
    )
    found = {
        name: (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for name in names_of(model, group)
    }
    assert found['head.weight'] == (pytest.approx(0.1), 0.1)
    assert found['head.bias'] == (pytest.approx(0.15), 0.5)
    assert found['norm.weight'] == (0.3, 0.0)
    assert found['conv.weight'] == (0.3, 0.5)


def test_entries_of_several():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.generator, self.discriminator = Net(), Net()

    entry = dict(
        type='mmamp.AmpOptimWrapper',
        dtype='bfloat16',
        optimizer=ADAM,
        param_groups=[
            dict(
                dims=2,
                names=[r'generator\.head.*'],
                optimizer=dict(type=Matrices),
            ),
            dict(),
        ],
    )
    model = Pair()
    wrappers = build_optim_wrapper(
        model,
        dict(
            constructor=CONSTRUCTORS[0],
            generator=entry,
            discriminator=dict(optimizer=ADAM),
        ),
    )
    members = wrappers['generator'].optimizer.members
    assert [len(x.param_groups[0]['params']) for x in members] == [1, 6]
    assert type(wrappers['discriminator'].optimizer) is torch.optim.AdamW


def test_several_train_and_skip_as_one():
    rules = [dict(MATRICES, optimizer=dict(type=Matrices)), dict()]
    model, wrapper = build(rules, clip_grad=dict(max_norm=1.0))
    before = [p.clone() for p in model.parameters()]

    def update(factor):
        x = model.norm(model.conv(torch.randn(2, 2, 3, 3)))
        x = model.head(x.mean((2, 3)) + model.embed.weight.mean(0))
        wrapper.update_params(x.square().sum() * factor)

    update(float('inf'))
    assert wrapper.step_was_skipped
    assert all(map(torch.equal, before, model.parameters()))
    update(1.0)
    assert not any(map(torch.equal, before[:-2], [*model.parameters()][:-2]))
    assert not torch.equal(before[-2], model.head.weight)
    saved = wrapper.state_dict()
    _other, again = build(rules, clip_grad=dict(max_norm=1.0))
    again.load_state_dict(saved)
    assert len(again.optimizer.state) == len(wrapper.optimizer.state)


def test_the_log_tells_who_has_what(caplog):
    from mmengine.logging import MMLogger

    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    build([dict(MATRICES, lr=0.2), dict()], paramwise_cfg=dict(bias_lr_mult=2))
    logger.removeHandler(handler)
    texts = [record.getMessage() for record in records]
    text = 'optim_wrapper: param_groups[0]: 1 tensors, 4 parameters, by AdamW'
    assert text in texts
    assert not any(text.startswith('paramwise_options') for text in texts)


@pytest.mark.parametrize(
    ('rules', 'kind', 'text'),
    [
        (dict(dims=[2]), TypeError, 'must be a list of rules'),
        ([], TypeError, 'must be a list of rules'),
        (['.*weight'], TypeError, r'param_groups\[0\].* must be a dict'),
        ([dict(dims=['2'])], TypeError, 'numbers of dimensions'),
        ([dict(dims=True)], TypeError, 'numbers of dimensions'),
        ([dict(names=[1])], TypeError, '`names` must be regular'),
        ([dict(names='*')], ValueError, "'\\*' is no valid regular"),
        ([dict(name='.*')], ValueError, "'name' .* Did you mean 'names'"),
        ([dict(params=[])], ValueError, "'params' is none of dims"),
        (
            [dict(dims=[2], lrr=0.3), dict()],
            ValueError,
            r'param_groups\[0\]: lrr: no setting of AdamW, which has lr, '
            "betas, .* Did you mean 'lr'",
        ),
        (
            [dict(dims=[2], amsgard=True, optimizer=ADAM), dict()],
            ValueError,
            r"param_groups\[0\]: amsgard: no .* Did you mean 'amsgrad'",
        ),
        ([dict(optimizer='SGD')], TypeError, 'must be a dict such as'),
        ([dict(optimizer=ADAM)], ValueError, 'nothing is left for opt'),
        (
            [dict(dims=[2])],
            ValueError,
            r"no rule .* matches 5 parameters, such as 'conv.weight' of shape "
            r'\(2, 2, 1, 1\)',
        ),
        (
            [dict(names='weight'), dict()],
            ValueError,
            r"param_groups\[0\] \(names=\['weight'\]\) gets no parameter: the "
            r"parameters are 'conv",
        ),
        (
            [dict(), dict(dims=[2])],
            ValueError,
            r'param_groups\[1\] \(dims=\[2\]\) gets no parameter: .* '
            r"'embed.weight', earlier",
        ),
    ],
)
@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_mistakes(rules, kind, text, constructor):
    with pytest.raises(kind, match=text) as caught:
        build(rules, constructor=constructor)
    assert str(caught.value).startswith('optim_wrapper: ')


@pytest.mark.parametrize('constructor', CONSTRUCTORS)
def test_a_shape_that_is_refused(constructor):
    model = Net()
    cfg = dict(constructor=constructor, optimizer=dict(type=Matrices, lr=1.0))
    with pytest.raises(ValueError, match='only 2D') as caught:
        build_optim_wrapper(model, cfg)
    text = str(caught.value)
    assert "'conv.weight' of shape (2, 2, 1, 1) is none for Matrices" in text
    assert 'param_groups=[dict(dims=[2]), dict(optimizer=dict(type=' in text


def test_a_flag_that_is_missing():
    cfg = dict(constructor=CONSTRUCTORS[1], optimizer=dict(type=Flagged))
    with pytest.raises(ValueError, match=r'dict\(use_muon=False\)\]'):
        build_optim_wrapper(Net(), cfg)
