"""Configs to optimizer wrappers: every form, every error, through a Runner."""

import copy
import logging

import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config, ConfigDict
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import (
    BaseModel,
    MMDistributedDataParallel,
    MMSeparateDistributedDataParallel,
)
from mmengine.optim import (
    OptimWrapper,
    OptimWrapperDict,
    build_optim_wrapper,
)
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.visualization import Visualizer
from torch import nn
from torch.utils.data import Dataset

from mmamp.engine.optimizers import optim_wrapper_constructor
from mmamp.engine.optimizers.optim_wrapper_constructor import (
    OptimWrapperConstructor,
)
from mmamp.registry import (
    DATASETS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.mapping = nn.Linear(2, 2)
        self.norm = nn.BatchNorm1d(2)
        self.synthesis = nn.Linear(2, 2)

    def forward(self, x):
        return self.synthesis(self.norm(self.mapping(x)))


class GAN(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = Generator()
        self.disc_a = nn.Linear(2, 1)
        self.disc_b = nn.Linear(2, 1)


class NamedOptimWrapper(OptimWrapper):
    """Has the attribute that reports are filed under."""

    name: str = ''


class OwnSGD(torch.optim.SGD):
    """Is registered in the scope of mmamp alone."""


@pytest.fixture
def gan():
    return GAN()


@pytest.fixture
def logs():
    """Collect what goes to MMEngine's logger, which pytest cannot see."""

    class Collector(logging.Handler):
        def emit(self, record):
            records.append((record.levelno, record.getMessage()))

    records: list[tuple[int, str]] = []
    logger, collector = MMLogger.get_current_instance(), Collector()
    logger.addHandler(collector)
    yield records
    logger.removeHandler(collector)


@pytest.fixture
def own_types():
    OPTIM_WRAPPERS.register_module(module=NamedOptimWrapper)
    OPTIMIZERS.register_module(module=OwnSGD)
    yield
    OPTIM_WRAPPERS.module_dict.pop('NamedOptimWrapper')
    OPTIMIZERS.module_dict.pop('OwnSGD')


@pytest.fixture
def own_globals(monkeypatch):
    """Keep the logger, scope and hub of a Runner inside of one test."""
    for manager in (DefaultScope, MMLogger, MessageHub, Visualizer):
        monkeypatch.setattr(
            manager, '_instance_dict', manager._instance_dict.copy()
        )


@pytest.fixture
def process_group(tmp_path):
    dist.init_process_group(
        'gloo',
        init_method=f'file://{tmp_path / "store"}',
        rank=0,
        world_size=1,
    )
    yield
    dist.destroy_process_group()


def sgd(**kwargs):
    return dict(type='SGD', lr=0.1, **kwargs)


def multi_cfg(**kwargs):
    return dict(
        generator=dict(optimizer=sgd()),
        discriminators=dict(modules=['disc_.*'], optimizer=sgd()),
        **kwargs,
    )


def held(wrapper):
    return [p for g in wrapper.optimizer.param_groups for p in g['params']]


def is_same(found, expected):
    return [id(p) for p in found] == [id(p) for p in expected]


def option_of(wrapper, param, option):
    (group,) = (
        group
        for group in wrapper.optimizer.param_groups
        if any(p is param for p in group['params'])
    )
    return group[option]


def messages(logs, level):
    return [message for levelno, message in logs if levelno == level]


# One optimizer per network


@pytest.mark.parametrize(
    'name', ['OptimWrapperConstructor', 'MultiOptimWrapperConstructor']
)
def test_the_mission_s_own_config(name):
    model = nn.Module()
    model.generator, model.discriminator = nn.Linear(2, 2), nn.Linear(2, 1)
    cfg = dict(
        constructor=f'mmamp.{name}',
        generator=dict(
            accumulative_counts=8,
            optimizer=dict(
                type='Adam', lr=0.0001, betas=(0.0, 0.999), eps=1e-06
            ),
            type='OptimWrapper',
            clip_grad=dict(type='value', clip_value=0.5),
        ),
        discriminator=dict(
            accumulative_counts=4, optimizer=dict(type='SGD', lr=0.0004)
        ),
    )
    wrappers = build_optim_wrapper(model, cfg)
    assert type(wrappers) is OptimWrapperDict
    assert list(wrappers.keys()) == ['generator', 'discriminator']
    gen, disc = wrappers.values()
    assert is_same(held(gen), model.generator.parameters())
    assert is_same(held(disc), model.discriminator.parameters())
    assert type(gen.optimizer) is torch.optim.Adam
    assert gen.optimizer.defaults['betas'] == (0.0, 0.999)
    assert gen._accumulative_counts == 8
    assert gen.clip_grad_kwargs == dict(clip_value=0.5)
    assert type(disc.optimizer) is torch.optim.SGD
    assert type(disc) is OptimWrapper
    assert disc._accumulative_counts == 4


def test_registered_under_both_names():
    for name in ('OptimWrapperConstructor', 'MultiOptimWrapperConstructor'):
        assert OPTIM_WRAPPER_CONSTRUCTORS.get(name) is OptimWrapperConstructor


def test_order_of_the_config_is_kept(gan):
    entry = dict(optimizer=sgd())
    wrappers = OptimWrapperConstructor(
        dict(disc_b=entry, generator=entry, disc_a=entry)
    )(gan)
    assert list(wrappers.keys()) == ['disc_b', 'generator', 'disc_a']


def test_keys_as_dotted_names_and_regular_expressions(gan):
    entry = dict(optimizer=sgd())
    wrappers = OptimWrapperConstructor(
        {
            'generator.mapping': entry,
            r'generator\.(?!mapping).*': entry,
            'disc_.*': entry,
        }
    )(gan)
    mapping, rest, disc = wrappers.values()
    assert is_same(held(mapping), gan.generator.mapping.parameters())
    assert is_same(
        held(rest),
        [
            *gan.generator.norm.parameters(),
            *gan.generator.synthesis.parameters(),
        ],
    )
    assert is_same(
        held(disc), [*gan.disc_a.parameters(), *gan.disc_b.parameters()]
    )


def test_modules_of_an_entry(gan):
    cfg = dict(
        first=dict(modules=['disc_b', 'generator.m.*'], optimizer=sgd()),
        # The key is a module too, but here it is only a name.
        disc_b=dict(modules='disc_a', optimizer=sgd()),
    )
    wrappers = OptimWrapperConstructor(cfg)(gan)
    assert is_same(
        held(wrappers['first']),
        [*gan.disc_b.parameters(), *gan.generator.mapping.parameters()],
    )
    assert is_same(held(wrappers['disc_b']), gan.disc_a.parameters())


def test_tied_parameters_inside_an_entry(gan):
    gan.disc_b.weight = gan.disc_a.weight
    for paramwise_cfg in (None, dict(bias_lr_mult=2.0)):
        wrappers = OptimWrapperConstructor(multi_cfg(), paramwise_cfg)(gan)
        assert is_same(
            held(wrappers['discriminators']),
            [gan.disc_a.weight, gan.disc_a.bias, gan.disc_b.bias],
        )


def test_config_is_left_as_it_was(gan):
    cfg = multi_cfg(constructor='mmamp.OptimWrapperConstructor')
    cfg['generator'].update(
        clip_grad=dict(type='norm', max_norm=1.0),
        paramwise_cfg=dict(custom_keys=dict(mapping=dict(lr_mult=0.1))),
    )
    before = copy.deepcopy(cfg)
    constructor = OptimWrapperConstructor(cfg)
    first, second = constructor(gan), constructor(gan)
    assert cfg == before
    assert first['generator'] is not second['generator']
    assert second['generator'].clip_func is torch.nn.utils.clip_grad_norm_
    single = dict(
        optimizer=sgd(),
        paramwise_cfg=dict(bias_lr_mult=2.0),
        clip_grad=dict(type='value', clip_value=1.0),
    )
    before = copy.deepcopy(single)
    OptimWrapperConstructor(single)(gan)
    assert single == before


def test_wrappers_learn_their_names(gan, own_types):
    cfg = multi_cfg()
    cfg['generator']['type'] = 'NamedOptimWrapper'
    wrappers = OptimWrapperConstructor(cfg)(gan)
    assert type(wrappers['generator']) is NamedOptimWrapper
    assert wrappers['generator'].name == 'generator'
    # What has no such attribute gets none.
    assert not hasattr(wrappers['discriminators'], 'name')
    single = OptimWrapperConstructor(
        dict(type='NamedOptimWrapper', optimizer=sgd())
    )(gan)
    assert single.name == ''


def test_built_wrapper_as_an_entry(gan, logs):
    optimizer = torch.optim.Adam(gan.disc_a.parameters())
    built = NamedOptimWrapper(optimizer)
    wrappers = OptimWrapperConstructor(
        dict(
            anything=built,
            generator=dict(optimizer=sgd()),
            disc_b=dict(optimizer=sgd()),
        )
    )(gan)
    assert wrappers['anything'] is built
    assert built.name == 'anything'
    assert is_same(held(wrappers['generator']), gan.generator.parameters())
    assert not messages(logs, logging.WARNING)


def test_classes_instead_of_names(gan):
    cfg = multi_cfg()
    cfg['generator'].update(
        type=NamedOptimWrapper, optimizer=dict(type=torch.optim.Adam, lr=1.0)
    )
    wrappers = OptimWrapperConstructor(ConfigDict(cfg))(gan)
    assert type(wrappers['generator']) is NamedOptimWrapper
    assert type(wrappers['generator'].optimizer) is torch.optim.Adam


def test_scoped_names(gan):
    cfg = dict(
        type='mmengine.OptimWrapper',
        optimizer=dict(type='mmengine.SGD', lr=0.1),
    )
    wrapper = OptimWrapperConstructor(cfg)(gan)
    assert type(wrapper) is OptimWrapper


@pytest.mark.parametrize('place', ['top', 'entry', 'single'])
def test_scope_of_an_inherited_config(gan, own_types, place):
    """``_base_ = 'mmamp::...'`` leaves ``_scope_`` behind, at one level."""
    entry = dict(
        type='NamedOptimWrapper', optimizer=dict(type='OwnSGD', lr=0.1)
    )
    cfg = entry if place == 'single' else dict(generator=entry)
    (entry if place == 'entry' else cfg)['_scope_'] = 'mmamp'
    with DefaultScope.overwrite_default_scope('mmengine'):
        wrapper = OptimWrapperConstructor(cfg)(gan)
    if place != 'single':
        wrapper = wrapper['generator']
    assert type(wrapper) is NamedOptimWrapper
    assert type(wrapper.optimizer) is OwnSGD


def test_scope_of_the_optimizer_alone(gan, own_types):
    optimizer = dict(type='OwnSGD', lr=0.1, _scope_='mmamp')
    with DefaultScope.overwrite_default_scope('mmengine'):
        wrapper = OptimWrapperConstructor(dict(optimizer=optimizer))(gan)
    assert type(wrapper.optimizer) is OwnSGD


def test_optimizer_with_another_first_argument(gan):
    class Hybrid(torch.optim.SGD):
        def __init__(self, model_params, lr):
            super().__init__(model_params, lr=lr)

    cfg = dict(optimizer=dict(type=Hybrid, lr=0.1))
    wrapper = OptimWrapperConstructor(cfg)(gan)
    assert is_same(held(wrapper), gan.parameters())


# One optimizer over several networks


def test_single_form_over_modules(gan, logs):
    cfg = dict(
        constructor='mmamp.OptimWrapperConstructor',
        modules=['disc_.*', 'generator.norm'],
        optimizer=sgd(),
        accumulative_counts=2,
        type='OptimWrapper',
    )
    wrapper = build_optim_wrapper(gan, cfg)
    assert type(wrapper) is OptimWrapper
    assert wrapper._accumulative_counts == 2
    assert is_same(
        held(wrapper),
        [
            *gan.disc_a.parameters(),
            *gan.disc_b.parameters(),
            *gan.generator.norm.parameters(),
        ],
    )
    (warning,) = messages(logs, logging.WARNING)
    assert 'generator.mapping.weight' in warning


def test_single_form_over_all(gan, logs):
    gan.scale = nn.Parameter(torch.ones(()))
    wrapper = OptimWrapperConstructor(dict(optimizer=sgd()))(gan)
    assert type(wrapper) is OptimWrapper
    assert is_same(held(wrapper), gan.parameters())
    assert not messages(logs, logging.WARNING)
    assert any('over the whole model' in m for m in messages(logs, 20))


def test_single_form_with_paramwise_cfg_is_mmengine_s(gan):
    cfg = dict(
        optimizer=sgd(weight_decay=0.5),
        paramwise_cfg=dict(
            norm_decay_mult=0.0,
            bias_lr_mult=2.0,
            custom_keys={'generator.mapping': dict(lr_mult=0.1)},
        ),
    )
    ours = build_optim_wrapper(
        gan, dict(cfg, constructor='mmamp.OptimWrapperConstructor')
    )
    theirs = build_optim_wrapper(gan, cfg)
    ours, theirs = ours.optimizer.param_groups, theirs.optimizer.param_groups
    assert len(ours) == len(theirs) == 10
    for our, their in zip(ours, theirs, strict=True):
        assert is_same(our.pop('params'), their.pop('params'))
        assert our == their


# paramwise_cfg


@pytest.mark.parametrize('key', ['generator.mapping', 'mapping', 'g.weight'])
def test_custom_keys_meet_full_names(gan, key):
    cfg = multi_cfg()
    cfg['generator']['paramwise_cfg'] = dict(
        custom_keys={key: dict(lr_mult=0.1)}
    )
    gen = OptimWrapperConstructor(cfg)(gan)['generator']
    mapping, synthesis = gan.generator.mapping, gan.generator.synthesis
    assert option_of(gen, mapping.weight, 'lr') == pytest.approx(0.01)
    assert option_of(gen, synthesis.weight, 'lr') == pytest.approx(0.1)


@pytest.mark.parametrize('beside', [True, False])
def test_top_level_paramwise_cfg_is_for_those_without_one(gan, beside):
    """MMEngine hands it over beside the entries; by hand it is among them."""
    common = dict(bias_lr_mult=2.0)
    cfg = dict(
        generator=dict(optimizer=sgd()),
        disc_a=dict(optimizer=sgd(), paramwise_cfg=dict(bias_lr_mult=3.0)),
        disc_b=dict(optimizer=sgd(), paramwise_cfg=None),
    )
    if beside:
        wrappers = OptimWrapperConstructor(cfg, common)(gan)
    else:
        wrappers = OptimWrapperConstructor(dict(cfg, paramwise_cfg=common))(
            gan
        )
    bias = dict(
        generator=gan.generator.mapping.bias,
        disc_a=gan.disc_a.bias,
        disc_b=gan.disc_b.bias,
    )
    lrs = {n: option_of(wrappers[n], p, 'lr') for n, p in bias.items()}
    assert lrs == pytest.approx(dict(generator=0.2, disc_a=0.3, disc_b=0.1))
    assert len(wrappers['disc_b'].optimizer.param_groups) == 1


def test_paramwise_cfg_over_several_modules(gan):
    cfg = dict(
        modules=['disc_.*', 'generator.norm'],
        optimizer=sgd(weight_decay=0.5),
        paramwise_cfg=dict(norm_decay_mult=0.0),
    )
    wrapper = OptimWrapperConstructor(cfg)(gan)
    norm = gan.generator.norm
    assert option_of(wrapper, norm.weight, 'weight_decay') == 0
    assert option_of(wrapper, gan.disc_b.weight, 'weight_decay') == 0.5
    assert len(held(wrapper)) == 6


def test_tied_parameter_keeps_the_options_of_its_first_name(gan):
    gan.disc_b.weight = gan.disc_a.weight
    cfg = multi_cfg()
    cfg['discriminators']['paramwise_cfg'] = dict(
        custom_keys=dict(disc_a=dict(lr_mult=2.0), disc_b=dict(lr_mult=3.0))
    )
    wrapper = OptimWrapperConstructor(cfg)(gan)['discriminators']
    assert option_of(wrapper, gan.disc_a.weight, 'lr') == pytest.approx(0.2)


# Model wrappers


@pytest.mark.parametrize('paramwise_cfg', [None, dict(bias_lr_mult=2.0)])
@pytest.mark.parametrize(
    'wrapper_cls',
    [MMDistributedDataParallel, MMSeparateDistributedDataParallel],
)
def test_names_do_not_change_under_ddp(
    gan, process_group, logs, wrapper_cls, paramwise_cfg
):
    expected = [
        [id(p) for p in net.parameters()]
        for net in (gan.generator.mapping, gan.disc_a, gan.disc_b)
    ]
    wrapped = wrapper_cls(gan)
    entry = dict(optimizer=sgd())
    cfg = {'generator.mapping': entry, 'disc_a': entry, 'disc_b': entry}
    wrappers = OptimWrapperConstructor(cfg, paramwise_cfg)(wrapped)
    assert [[id(p) for p in held(w)] for w in wrappers.values()] == expected
    (warning,) = messages(logs, logging.WARNING)
    assert 'generator.norm.weight' in warning
    assert not [m for _, m in logs if 'module.' in m]


def test_custom_keys_do_not_change_under_ddp(gan, process_group):
    mapping = gan.generator.mapping
    wrapped = MMSeparateDistributedDataParallel(gan)
    custom = dict(custom_keys={'generator.mapping': dict(lr_mult=0.1)})
    for cfg in (dict(generator=dict(optimizer=sgd())), dict(optimizer=sgd())):
        wrapper = OptimWrapperConstructor(cfg, custom)(wrapped)
        if isinstance(wrapper, OptimWrapperDict):
            wrapper = wrapper['generator']
        assert option_of(wrapper, mapping.bias, 'lr') == pytest.approx(0.01)


# What is logged


def test_each_optimizer_says_what_it_got(gan, logs):
    gan.generator.norm.requires_grad_(False)
    cfg = multi_cfg()
    cfg['generator'].update(paramwise_cfg=dict(bias_lr_mult=2.0))
    OptimWrapperConstructor(cfg)(gan)
    infos = messages(logs, logging.INFO)
    assert (
        "optim_wrapper['generator']: OptimWrapper with SGD in 4 parameter "
        'group(s) over generator: 4 tensors, 12 parameters; 2 frozen tensors '
        'left out' in infos
    )
    assert (
        "optim_wrapper['discriminators']: OptimWrapper with SGD in 1 "
        'parameter group(s) over disc_a, disc_b: 4 tensors, 6 parameters; '
        '0 frozen tensors left out' in infos
    )
    # MMEngine would warn of each frozen parameter here.
    assert not messages(logs, logging.WARNING)


def test_log_filter_does_not_stay(gan):
    logger = MMLogger.get_current_instance()
    before = list(logger.filters)
    OptimWrapperConstructor(multi_cfg(), dict(bias_lr_mult=2.0))(gan)
    with pytest.raises(ValueError, match='paramwise_cfg'):
        OptimWrapperConstructor(multi_cfg(), dict(norm_decay_mult=0.0))(gan)
    assert logger.filters == before


def test_unowned_parameters_are_one_warning(gan, logs):
    gan.disc_a.requires_grad_(False)
    OptimWrapperConstructor(dict(disc_b=dict(optimizer=sgd())))(gan)
    (warning,) = messages(logs, logging.WARNING)
    assert warning.startswith('6 trainable parameters belong to no optimizer')
    assert 'generator.mapping.weight' in warning
    assert warning.count('generator.') == 5
    assert 'and 1 more' in warning
    assert 'disc_a' not in warning


def test_frozen_copy_is_not_missed(gan, logs):
    gan.generator_ema = copy.deepcopy(gan.generator).requires_grad_(False)
    wrappers = OptimWrapperConstructor(multi_cfg())(gan)
    assert is_same(held(wrappers['generator']), gan.generator.parameters())
    assert not messages(logs, logging.WARNING)


# Errors


def build(gan, **cfg):
    return OptimWrapperConstructor(cfg)(gan)


@pytest.mark.parametrize('cfg', [None, [], 'generator', 3])
def test_config_must_be_a_dict(cfg):
    with pytest.raises(TypeError, match='optim_wrapper_cfg must be a dict'):
        OptimWrapperConstructor(cfg)


@pytest.mark.parametrize(
    'cfg',
    [{}, dict(constructor='OptimWrapperConstructor'), dict(paramwise_cfg={})],
)
def test_no_entry(cfg):
    with pytest.raises(ValueError, match=r'has no entry.*generator=dict'):
        OptimWrapperConstructor(cfg)


@pytest.mark.parametrize(
    'value', [None, 3, 'AmpOptimWrapper', [dict(optimizer=sgd())]]
)
def test_entry_must_be_a_dict(value):
    with pytest.raises(TypeError, match='no entry') as error:
        OptimWrapperConstructor(multi_cfg(extra=value))
    assert f"optim_wrapper['extra']={value!r}" in str(error.value)


def test_wrapper_argument_beside_the_entries():
    with pytest.raises(TypeError, match=r"\['type'\].*go inside the entries"):
        OptimWrapperConstructor(multi_cfg(type='AmpOptimWrapper'))


def test_type_that_mmengine_puts_there_on_old_npus(gan, monkeypatch):
    monkeypatch.setattr(
        optim_wrapper_constructor, 'is_npu_available', lambda: True
    )
    cfg = multi_cfg(type='AmpOptimWrapper')
    wrappers = OptimWrapperConstructor(cfg)(gan)
    assert list(wrappers.keys()) == ['generator', 'discriminators']


def test_several_wrappers_as_one_entry(gan):
    built = OptimWrapperDict(
        a=OptimWrapper(torch.optim.SGD(gan.parameters(), lr=0.1))
    )
    with pytest.raises(TypeError, match=r"optim_wrapper\['both'\]"):
        OptimWrapperConstructor(dict(both=built))


@pytest.mark.parametrize(
    'entry', [dict(), dict(lr=0.1), dict(type='Adam'), dict(optimizer=None)]
)
def test_entry_without_optimizer(entry):
    cfg = multi_cfg(disc_b=entry)
    with pytest.raises(ValueError, match='`optimizer` must be') as error:
        OptimWrapperConstructor(cfg)
    assert f"optim_wrapper['disc_b']={entry!r}" in str(error.value)


def test_single_form_without_optimizer():
    with pytest.raises(ValueError, match=r'optim_wrapper=.*`optimizer` must'):
        OptimWrapperConstructor(dict(modules=['generator']))


@pytest.mark.parametrize('optimizer', ['Adam', 3, torch.optim.SGD])
def test_optimizer_must_be_a_dict(optimizer):
    with pytest.raises(TypeError, match=r"\['generator'\].*`optimizer` must"):
        OptimWrapperConstructor(dict(generator=dict(optimizer=optimizer)))


@pytest.mark.parametrize('key', ['optimizer', 'modules'])
def test_single_and_multi_form_at_once(key):
    cfg = multi_cfg(**{key: dict(optimizer=sgd(), modules=['a'])[key]})
    with pytest.raises(ValueError, match=r"\['generator'\].*_delete_=True"):
        OptimWrapperConstructor(cfg)


def test_key_that_matches_nothing(gan):
    with pytest.raises(ValueError, match=r"\['generater'\]: 'gen.*Did you"):
        build(gan, generater=dict(optimizer=sgd()))


def test_module_that_matches_nothing(gan):
    entry = dict(modules=['generator', 'disc_c.*'], optimizer=sgd())
    with pytest.raises(ValueError, match=r"\['all'\]: 'disc_c\.\*'.*disc_a"):
        build(gan, all=entry)
    with pytest.raises(ValueError, match=r"^optim_wrapper: 'disc_c"):
        build(gan, **entry)


def test_invalid_regular_expression(gan):
    with pytest.raises(ValueError, match=r"\['\*disc'\].*not a valid one"):
        build(gan, **{'*disc': dict(optimizer=sgd())})


@pytest.mark.parametrize('modules', [[], 3, [3], dict(a=1)])
def test_bad_modules(gan, modules):
    with pytest.raises((TypeError, ValueError), match=r"\['g'\]: `modules`"):
        build(gan, g=dict(modules=modules, optimizer=sgd()))
    with pytest.raises((TypeError, ValueError), match='optim_wrapper: `mod'):
        build(gan, modules=modules, optimizer=sgd())


@pytest.mark.parametrize('order', [1, -1])
def test_two_owners(gan, order):
    cfg = {
        'generator': dict(optimizer=sgd()),
        'generator.mapping': dict(optimizer=sgd()),
    }
    cfg = dict(list(cfg.items())[::order])
    with pytest.raises(ValueError, match='two optimizers') as error:
        OptimWrapperConstructor(cfg)(gan)
    for part in (
        "'generator.mapping.weight'",
        "'generator'",
        "'generator.mapping'",
        'paramwise_cfg',
    ):
        assert part in str(error.value)


def test_built_wrapper_and_entry_own_the_same(gan):
    built = OptimWrapper(torch.optim.SGD(gan.disc_a.parameters(), lr=0.1))
    with pytest.raises(ValueError, match=r'disc_a.weight.*two optimizers'):
        build(gan, built=built, disc_a=dict(optimizer=sgd()))


def test_built_wrapper_that_mmengine_copied(gan):
    """Its parameters are copies: it would train none of the model's."""
    built = OptimWrapper(torch.optim.SGD(gan.disc_a.parameters(), lr=0.1))
    cfg = dict(
        constructor='mmamp.OptimWrapperConstructor',
        disc_a=built,
        generator=dict(optimizer=sgd()),
    )
    with pytest.raises(ValueError, match=r"\['disc_a'\] .* deep-copies"):
        build_optim_wrapper(gan, cfg)


def test_nothing_to_train(gan):
    gan.disc_a.requires_grad_(False)
    with pytest.raises(ValueError, match=r"\['disc_a'\]: no .* all 2 are fr"):
        build(gan, disc_a=dict(optimizer=sgd()))
    gan.requires_grad_(False)
    with pytest.raises(ValueError, match=r'^optim_wrapper: no .* the model'):
        build(gan, optimizer=sgd())


def test_unknown_optimizer(gan):
    with pytest.raises(ValueError, match="no optimizer 'Adm'") as error:
        build(gan, generator=dict(optimizer=dict(type='Adm', lr=0.1)))
    assert "optim_wrapper['generator']" in str(error.value)
    assert "Did you mean 'Adam'" in str(error.value)
    assert 'SGD' in str(error.value)


@pytest.mark.parametrize(
    'name', ['AmpOptimWraper', 'mmengine.AmpOptimWraper', 'a.AmpOptimWraper']
)
def test_unknown_wrapper(gan, name):
    with pytest.raises(ValueError, match=r"^optim_wrapper\['gen") as error:
        build(gan, generator=dict(type=name, optimizer=sgd()))
    assert f'there is no {OPTIM_WRAPPERS.name} {name!r}' in str(error.value)
    assert "Did you mean 'AmpOptimWrapper'" in str(error.value)


@pytest.mark.parametrize('name', ['', 'torch.optim', 'torch.optim.Adm'])
def test_type_that_is_no_class(gan, name):
    with pytest.raises(ValueError, match=r"\['generator'\]: there is no opt"):
        build(gan, generator=dict(optimizer=dict(type=name, lr=0.1)))


def test_optimizer_as_wrapper_type(gan):
    with pytest.raises(ValueError, match=r"'Adam'; .*OptimWrapper"):
        build(gan, generator=dict(type='Adam', optimizer=sgd()))


@pytest.mark.parametrize('given', [dict(lr=0.1), dict(type=3, lr=0.1)])
def test_optimizer_without_type(gan, given):
    with pytest.raises(TypeError, match=r"\['generator'\].*needs a `type`"):
        build(gan, generator=dict(optimizer=given))


@pytest.mark.parametrize(
    ('optimizer', 'kind'),
    [
        (dict(type='SGD', lr=-1.0), ValueError),
        (dict(type='SGD', lr=0.1, betas=(0.0, 0.9)), TypeError),
        (dict(type='Adam', lr=0.1, betas=(0.0, 2.0)), ValueError),
    ],
)
def test_bad_optimizer_argument(gan, optimizer, kind):
    with pytest.raises(kind, match=r"optim_wrapper\['generator'\]") as error:
        build(gan, generator=dict(optimizer=optimizer))
    assert repr(optimizer) in str(error.value)
    assert error.value.__cause__ is not None


@pytest.mark.parametrize(
    ('argument', 'kind'),
    [
        (dict(loss_scale=512), TypeError),
        (dict(accumulative_counts=0), ValueError),
        (dict(clip_grad=dict(type='nrom', max_norm=1.0)), ValueError),
    ],
)
def test_bad_wrapper_argument(gan, argument, kind):
    with pytest.raises(kind, match=r"optim_wrapper\['generator'\]") as error:
        build(gan, generator=dict(optimizer=sgd(), **argument))
    assert next(iter(argument)) in str(error.value)
    with pytest.raises(kind, match=r'^optim_wrapper: '):
        build(gan, optimizer=sgd(), **argument)


@pytest.mark.parametrize(
    ('paramwise_cfg', 'kind'),
    [
        ('norm', TypeError),
        (dict(norm_decay_mult=0.0), ValueError),
        (dict(custom_keys=['mapping']), TypeError),
        (dict(custom_keys=dict(mapping=dict(decay_mult=0.1))), ValueError),
    ],
)
def test_bad_paramwise_cfg(gan, paramwise_cfg, kind):
    entry = dict(optimizer=sgd(), paramwise_cfg=paramwise_cfg)
    with pytest.raises(kind, match=r"\['generator'\]: paramwise_cfg=") as e:
        build(gan, generator=entry)
    assert repr(paramwise_cfg) in str(e.value)
    with pytest.raises(kind, match=r"\['generator'\]: paramwise_cfg="):
        OptimWrapperConstructor(
            dict(generator=dict(optimizer=sgd())), paramwise_cfg
        )(gan)


def test_multiplier_without_lr(gan):
    entry = dict(
        optimizer=dict(type='Adam'), paramwise_cfg=dict(bias_lr_mult=2.0)
    )
    with pytest.raises(TypeError, match=r"\['disc_a'\].*need `lr`"):
        build(gan, disc_a=entry)


# Under MMEngine's Runner


class TrainedGAN(BaseModel):
    """Each network's output is pulled towards one."""

    def __init__(self):
        super().__init__()
        self.generator = nn.Linear(2, 2)
        self.discriminator = nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        return self.generator(inputs)

    def train_step(self, data, optim_wrapper):
        inputs = self.data_preprocessor(data, True)['inputs']
        losses = {}
        for name in ('generator', 'discriminator'):
            loss = (getattr(self, name)(inputs) - 1).square().mean()
            optim_wrapper[name].update_params(loss)
            losses[f'loss_{name}'] = loss.detach()
        return losses


class Ones(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, index):
        return dict(inputs=torch.ones(2))


@pytest.fixture
def runner_cfg(tmp_path, own_globals):
    MODELS.register_module(module=TrainedGAN)
    DATASETS.register_module(module=Ones)
    yield Config(
        dict(
            model=dict(type='TrainedGAN'),
            work_dir=str(tmp_path),
            default_scope='mmamp',
            train_dataloader=dict(
                batch_size=2,
                sampler=dict(type='DefaultSampler', shuffle=False),
                dataset=dict(type='Ones'),
                collate_fn=dict(type='default_collate'),
            ),
            train_cfg=dict(by_epoch=False, max_iters=2),
            optim_wrapper=dict(
                constructor='OptimWrapperConstructor',
                generator=dict(optimizer=sgd()),
                discriminator=dict(
                    optimizer=dict(type='Adam', lr=0.4),
                    clip_grad=dict(type='norm', max_norm=1.0),
                ),
            ),
        )
    )
    MODELS.module_dict.pop('TrainedGAN')
    DATASETS.module_dict.pop('Ones')


def test_runner_trains_each_network_on_its_schedule(runner_cfg):
    decay = dict(type='MultiStepLR', milestones=[1], by_epoch=False)
    runner_cfg.param_scheduler = dict(
        generator=dict(decay, gamma=0.5),
        discriminator=[dict(decay, gamma=0.1)],
    )
    runner = Runner.from_cfg(runner_cfg)
    before = copy.deepcopy(runner.model.state_dict())
    runner.train()
    wrappers = runner.optim_wrapper
    assert list(wrappers.keys()) == ['generator', 'discriminator']
    assert wrappers.get_lr()['generator.lr'] == pytest.approx([0.05])
    assert wrappers.get_lr()['discriminator.lr'] == pytest.approx([0.04])
    for name, value in runner.model.state_dict().items():
        assert not torch.equal(value, before[name]), name
    # The runner's own config was built from, and is as it was.
    given = runner.cfg.optim_wrapper.discriminator
    assert given.clip_grad == dict(type='norm', max_norm=1.0)


def test_runner_resumes_what_it_saved(runner_cfg):
    first = Runner.from_cfg(runner_cfg)
    first.train()
    saved = first.optim_wrapper.state_dict()
    again = Runner.from_cfg(runner_cfg)
    again.optim_wrapper = again.build_optim_wrapper(again.optim_wrapper)
    again.optim_wrapper.load_state_dict(saved)
    loaded = again.optim_wrapper['discriminator'].optimizer.state_dict()
    steps = [state['step'] for state in loaded['state'].values()]
    assert steps == [2, 2]


def test_runner_user_meets_the_error_itself(runner_cfg):
    runner_cfg.optim_wrapper.generater = runner_cfg.optim_wrapper.pop(
        'generator'
    )
    runner = Runner.from_cfg(runner_cfg)
    with pytest.raises(
        ValueError, match=r'TrainedGAN: .*generator, discrimin'
    ):
        runner.train()
