"""``enable_amp`` on configs in the forms that public toolboxes have them."""

import ast
import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.config.lazy import LazyAttr, LazyObject
from mmengine.optim import AmpOptimWrapper, OptimWrapper

import mmamp.config.amp
from mmamp.config import amp_report, enable_amp

AMP = 'mmamp.AmpOptimWrapper'
ADAM = dict(type='Adam', lr=0.0002, betas=(0.5, 0.999))


def config(optim_wrapper, **others):
    return Config(dict(optim_wrapper=optim_wrapper, **others))


def gan(generator=(), discriminator=(), **others):
    """Return a config of a GAN; the arguments add to the two wrappers."""
    return config(
        dict(
            constructor='MultiOptimWrapperConstructor',
            generator=dict(optimizer=ADAM, **dict(generator)),
            discriminator=dict(optimizer=ADAM, **dict(discriminator)),
        ),
        **others,
    )


def plain(value):
    """Return a config or a part of it as plain data, nothing imported."""
    value = getattr(value, '_cfg_dict', value)
    return copy.deepcopy(value).to_dict()


def stored(cfg, *keys):
    """Return a value of a config as stored, without importing it."""
    value = cfg._cfg_dict
    for key in keys:
        value = dict.__getitem__(value, key)
    return value


def from_text(tmp_path, text, name='config.py'):
    path = tmp_path / name
    path.write_text(text)
    return Config.fromfile(path)


def lines(cfg, **options):
    return [str(c) for c in amp_report(cfg, enable_amp(cfg, **options))]


# Single optimizers


MMDET = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=0.02, momentum=0.9, weight_decay=0.0001),
    clip_grad=dict(max_norm=35, norm_type=2),
)
MMPRETRAIN = dict(
    optimizer=dict(type='AdamW', lr=0.001, weight_decay=0.05),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        custom_keys={
            '.absolute_pos_embed': dict(decay_mult=0.0),
            # A module of this name must not pass for a wrapper's optimizer.
            'optimizer': dict(lr_mult=0.1),
        },
    ),
    clip_grad=dict(max_norm=5.0),
)
LAYER_DECAY = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.0001),
    constructor='LearningRateDecayOptimWrapperConstructor',
    paramwise_cfg=dict(num_layers=12, layer_decay_rate=0.7),
)
# An optimizer that wraps another one.
LOOKAHEAD = dict(optimizer=dict(type='Lookahead', optimizer=ADAM))
# MMagic's DreamBooth: one optimizer over several modules.
MODULES = dict(
    constructor='OptimWrapperConstructor',
    modules=['.*unet', '.*encoder'],
    optimizer=dict(type='AdamW', lr=5e-6),
    accumulative_counts=4,
)


@pytest.mark.parametrize(
    'optim_wrapper', [MMDET, MMPRETRAIN, LAYER_DECAY, LOOKAHEAD, MODULES]
)
def test_single_optimizer(optim_wrapper):
    out = enable_amp(config(optim_wrapper))
    assert plain(out) == dict(optim_wrapper=dict(optim_wrapper, type=AMP))


def test_one_optimizer_over_modules_without_constructor_key():
    out = enable_amp(config(dict(modules='.*unet', optimizer=ADAM)))
    assert out.optim_wrapper.type == AMP
    assert out.optim_wrapper.optimizer.type == 'Adam'


def test_type_none_counts_as_no_type():
    out = enable_amp(config(dict(type=None, optimizer=ADAM)))
    assert out.optim_wrapper.type == AMP


# Several optimizers


@pytest.mark.parametrize(
    'constructor',
    [
        'MultiOptimWrapperConstructor',
        'OptimWrapperConstructor',
        'mmagic.MultiOptimWrapperConstructor',
        'SinGANOptimWrapperConstructor',
        'my_project.MyConstructor',
    ],
)
def test_any_constructor(constructor):
    optim_wrapper = dict(
        constructor=constructor,
        generator=dict(optimizer=ADAM, accumulative_counts=8),
        discriminator=dict(
            type='OptimWrapper',
            optimizer=ADAM,
            paramwise_cfg=dict(custom_keys={'spynet': dict(lr_mult=0.125)}),
        ),
    )
    expected = copy.deepcopy(optim_wrapper)
    expected['generator']['type'] = AMP
    expected['discriminator']['type'] = AMP
    assert plain(enable_amp(config(optim_wrapper))) == dict(
        optim_wrapper=expected
    )


def test_any_names():
    names = ['disc_a', 'm1.generator', '.*embedding', 'text_encoder']
    cfg = config(
        dict(
            constructor='MultiOptimWrapperConstructor',
            **{name: dict(optimizer=ADAM) for name in names},
        )
    )
    out = enable_amp(cfg)
    assert [out.optim_wrapper[name].type for name in names] == [AMP] * 4
    assert [c.name for c in amp_report(cfg, out)] == names


def test_named_entry_over_modules():
    entry = dict(optimizer=ADAM, modules=['.*clip', '.*t5'])
    out = enable_amp(
        config(
            dict(
                constructor='MultiOptimWrapperConstructor', text_encoder=entry
            )
        )
    )
    assert plain(out.optim_wrapper.text_encoder) == dict(entry, type=AMP)


def test_what_is_no_wrapper_is_left_alone():
    others = dict(
        constructor='PGGANOptimWrapperConstructor',
        reset_optim_for_new_scale=False,
        lr_schedule=dict(
            generator={'128': 0.0015, '256': 0.002},
            discriminator={'128': 0.0015, '256': 0.002},
        ),
        reso_lr_schedule={'128': 0.0015},
        paramwise_cfg=dict(optimizer=dict(lr_mult=0.1)),
        steps=[1, 2],
        model2=dict(constructor='TimmOptimizerConstructor', opt='adamw'),
        flags=dict(optimizer='generator'),
    )
    cfg = config(dict(others, generator=dict(optimizer=ADAM)))
    out = plain(enable_amp(cfg).optim_wrapper)
    assert out.pop('generator') == dict(optimizer=ADAM, type=AMP)
    assert out == others


def test_a_default_beside_named_optimizers_is_put_in_amp_too():
    cfg = config(
        dict(constructor='C', optimizer=ADAM, head=dict(optimizer=ADAM))
    )
    out = enable_amp(cfg)
    assert out.optim_wrapper.type == out.optim_wrapper.head.type == AMP
    assert [c.name for c in amp_report(cfg, out)] == ['optim_wrapper', 'head']


def test_a_built_optimizer_stays_the_same_object():
    optimizer = torch.optim.SGD(torch.nn.Linear(1, 1).parameters(), lr=0.1)
    out = enable_amp(config(dict(g=dict(optimizer=optimizer))))
    assert out.optim_wrapper.g.optimizer is optimizer
    assert out.optim_wrapper.g.type == AMP


# The forms of a type


@pytest.mark.parametrize(
    'type_',
    [
        'OptimWrapper',
        'mmengine.OptimWrapper',
        'mmdet.OptimWrapper',
        'mmamp.OptimWrapper',
        'mmengine.optim.OptimWrapper',
        'mmengine.optim.optimizer.optimizer_wrapper.OptimWrapper',
        OptimWrapper,
        LazyObject('mmengine.optim', 'OptimWrapper'),
        LazyAttr('OptimWrapper', LazyObject('mmengine.optim')),
        'AmpOptimWrapper',
        'mmengine.AmpOptimWrapper',
        'mmagic.AmpOptimWrapper',
        'mmengine.optim.optimizer.amp_optimizer_wrapper.AmpOptimWrapper',
        AmpOptimWrapper,
        LazyObject('mmengine.optim', 'AmpOptimWrapper'),
    ],
)
@pytest.mark.parametrize('default_scope', [None, 'mmagic'])
def test_every_form_of_a_type(type_, default_scope):
    cfg = gan(dict(type=type_), default_scope=default_scope)
    out = enable_amp(cfg)
    assert stored(out, 'optim_wrapper', 'generator', 'type') == AMP


def test_stock_amp_is_upgraded_with_its_options():
    options = dict(
        dtype='bfloat16', loss_scale=dict(init_scale=512), use_fsdp=True
    )
    out = enable_amp(gan(dict(type='AmpOptimWrapper', **options)))
    assert plain(out.optim_wrapper.generator) == dict(
        optimizer=ADAM, type=AMP, **options
    )


@pytest.mark.parametrize(
    'type_',
    [
        AMP,
        'mmamp.engine.AmpOptimWrapper',
        LazyObject('mmamp.engine', 'AmpOptimWrapper'),
        type('AmpOptimWrapper', (), {'__module__': 'mmamp.engine.optimizers'}),
    ],
)
def test_mmamps_own_is_left_as_it_is(type_):
    cfg = gan(dict(type=type_, loss_scale=512))
    out = enable_amp(cfg)
    kept = stored(out, 'optim_wrapper', 'generator', 'type')
    assert kept is type_
    assert out.optim_wrapper.generator.loss_scale == 512
    assert 'already' in str(amp_report(cfg, out)[0])


@pytest.mark.parametrize(
    ('scope', 'default_scope', 'expected'),
    [
        (None, 'mmamp', 'AmpOptimWrapper'),
        ('mmamp', 'mmdet', 'AmpOptimWrapper'),
        ('mmdet', 'mmamp', AMP),
        (None, 'mmdet', AMP),
        (None, None, AMP),
    ],
)
def test_plain_name_goes_by_its_scope(scope, default_scope, expected):
    entry = dict(type='AmpOptimWrapper')
    if scope:
        entry['_scope_'] = scope
    out = enable_amp(gan(entry, default_scope=default_scope))
    assert out.optim_wrapper.generator.type == expected


def test_stock_amp_under_mmamps_scope_is_upgraded():
    out = enable_amp(
        gan(dict(type='mmengine.AmpOptimWrapper'), default_scope='mmamp')
    )
    assert out.optim_wrapper.generator.type == AMP


# Mixtures and the report


def test_amp_beside_float32():
    cfg = gan(
        dict(type='AmpOptimWrapper', dtype='bfloat16'),
        dict(type='OptimWrapper', accumulative_counts=2),
    )
    assert lines(cfg) == [
        'generator: AmpOptimWrapper (dtype bfloat16, loss_scale dynamic) -> '
        f'{AMP} (dtype bfloat16, no loss scale); '
        'in mixed precision already',
        f'discriminator: OptimWrapper (float32) -> {AMP} '
        "(dtype the device's default, loss_scale dynamic)",
    ]


def test_float32_island_is_kept_and_reported():
    cfg = gan(discriminator=dict(type='AmpOptimWrapper', dtype='float32'))
    out = enable_amp(cfg, dtype='bfloat16', loss_scale=512)
    assert plain(out.optim_wrapper.discriminator) == dict(
        optimizer=ADAM, type=AMP, dtype='float32'
    )
    assert out.optim_wrapper.generator.dtype == 'bfloat16'
    generator, island = amp_report(cfg, out)
    assert generator.after.mixed
    assert not island.after.mixed
    assert str(island) == (
        f'discriminator: AmpOptimWrapper (float32) -> {AMP} (float32); '
        'kept in float32, as its dtype says'
    )


def test_single_is_reported_under_the_key():
    report = lines(config(MMDET), loss_scale=512)
    assert report == [
        f'optim_wrapper: OptimWrapper (float32) -> {AMP} '
        "(dtype the device's default, loss_scale 512)"
    ]


def test_report_is_logged_once(monkeypatch):
    messages = []
    monkeypatch.setattr(
        mmamp.config.amp, 'print_log', lambda msg, logger: messages.append(msg)
    )
    cfg = gan()
    cfg.optim_wrapper.lr_schedule = {'128': 0.0015}
    out = enable_amp(cfg)
    (message,) = messages
    for change in amp_report(cfg, out):
        assert str(change) in message
    assert 'lr_schedule: holds no optimizer, left alone' in message


def test_arguments_of_a_single_wrapper_are_no_news(monkeypatch):
    messages = []
    monkeypatch.setattr(
        mmamp.config.amp, 'print_log', lambda msg, logger: messages.append(msg)
    )
    enable_amp(config(MMDET))
    assert 'clip_grad' not in messages[0]


# Options


def test_no_option_writes_nothing_but_the_type():
    out = enable_amp(gan())
    assert plain(out.optim_wrapper.generator) == dict(optimizer=ADAM, type=AMP)


def test_options_reach_every_wrapper_and_win_over_the_config():
    cfg = gan(dict(type=AMP, dtype='float16', loss_scale=dict(init_scale=4.0)))
    out = enable_amp(
        cfg, dtype='bfloat16', loss_scale=dict(growth_interval=10)
    )
    for name in ('generator', 'discriminator'):
        assert out.optim_wrapper[name].dtype == 'bfloat16'
        # Replaced, not merged with the old one.
        assert out.optim_wrapper[name].loss_scale == dict(growth_interval=10)
    report = str(amp_report(cfg, out)[0])
    assert "the option replaces the config's dtype float16" in report
    assert "replaces the config's loss_scale {'init_scale': 4.0}" in report


def test_a_dict_option_is_copied_for_each_wrapper():
    loss_scale = ConfigDict(init_scale=4.0)
    out = enable_amp(gan(), loss_scale=loss_scale)
    out.optim_wrapper.generator.loss_scale.init_scale = 8.0
    assert out.optim_wrapper.discriminator.loss_scale.init_scale == 4.0
    assert loss_scale.init_scale == 4.0


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'auto'])
def test_dtypes(dtype):
    out = enable_amp(config(MMDET), dtype=dtype)
    assert out.optim_wrapper.dtype == dtype


def test_torch_dtype_is_written_by_name():
    out = enable_amp(config(MMDET), dtype=torch.bfloat16)
    assert out.optim_wrapper.dtype == 'bfloat16'


@pytest.mark.parametrize('dtype', ['fp16', 'int8', '', 16])
def test_invalid_dtype_lists_the_valid_ones(dtype):
    with pytest.raises(ValueError) as error:
        enable_amp(config(MMDET), dtype=dtype)
    for text in (repr(dtype), 'float16', 'bfloat16', 'float32', 'auto'):
        assert text in str(error.value)


@pytest.mark.parametrize(
    ('given', 'written'),
    [
        ('dynamic', 'dynamic'),
        (512, 512),
        (0.5, 0.5),
        ('512', 512),
        ('1e4', 10000.0),
        (dict(init_scale=512), dict(init_scale=512)),
    ],
)
def test_loss_scales(given, written):
    out = enable_amp(config(MMDET), loss_scale=given).optim_wrapper
    assert out.loss_scale == written
    assert not isinstance(out.loss_scale, str) or written == 'dynamic'


@pytest.mark.parametrize(
    'loss_scale',
    ['static', '', '-1', 'nan', 'inf', 0, -2.0, float('inf'), True, [512]],
)
def test_invalid_loss_scale(loss_scale):
    with pytest.raises(ValueError, match="must be 'dynamic', a finite") as err:
        enable_amp(config(MMDET), loss_scale=loss_scale)
    assert repr(loss_scale) in str(err.value)


# Refusals


@pytest.mark.parametrize(
    'cfg',
    [
        Config(dict(model=dict(type='ResNet'))),
        config(None),
        config(dict()),
        config(dict(type='AmpOptimWrapper')),
        config(dict(type='OptimWrapper', optimizer=None)),
        config(dict(optimizer='SGD')),
        config(dict(constructor='C', lr_schedule=dict(generator=[1]))),
        config([dict(optimizer=ADAM)]),
    ],
)
def test_without_an_optimizer(cfg):
    with pytest.raises(ValueError, match='holds no optimizer') as error:
        enable_amp(cfg)
    assert repr(cfg.get('optim_wrapper')) in str(error.value)


@pytest.mark.parametrize(
    ('type_', 'name', 'reason'),
    [
        ('ApexOptimWrapper', None, 'apex.amp sets its precision'),
        ('mmengine.ApexOptimWrapper', None, 'apex.amp'),
        ('mmengine.optim.ApexOptimWrapper', None, 'apex.amp'),
        (
            LazyObject('mmengine.optim', 'ApexOptimWrapper'),
            'mmengine.optim.ApexOptimWrapper',
            'apex.amp',
        ),
        ('DeepSpeedOptimWrapper', None, 'the DeepSpeed strategy'),
        ('mmdet.DeepSpeedOptimWrapper', None, 'the DeepSpeed strategy'),
        ('ColossalAIOptimWrapper', None, 'the ColossalAI strategy'),
        ('NoCacheAmpOptimWrapper', None, 'it is unknown'),
        ('mmamp.NoSuchOptimWrapper', None, 'it is unknown'),
        ('my_project.wrappers.OptimWrapper', None, 'it is unknown'),
        (
            LazyObject('my_project', 'OptimWrapper'),
            'my_project.OptimWrapper',
            'it is unknown',
        ),
        (
            type('AmpOptimWrapper', (), {'__module__': '__main__'}),
            '__main__.AmpOptimWrapper',
            'it is unknown',
        ),
        (print, 'built-in function print', 'it is unknown'),
    ],
)
def test_other_wrappers_are_refused(type_, name, reason):
    with pytest.raises(ValueError, match=reason) as error:
        enable_amp(gan(discriminator=dict(type=type_)))
    message = str(error.value)
    assert message.startswith('optim_wrapper.discriminator: ')
    assert (name or type_) in message
    assert "'OptimWrapper' and 'AmpOptimWrapper'" in message
    assert AMP in message
    with pytest.raises(ValueError, match=f'^optim_wrapper: .*{reason}'):
        enable_amp(config(dict(optimizer=ADAM, type=type_)))


def test_no_mixed_precision_in_the_end_is_an_error():
    cfg = config(dict(type='AmpOptimWrapper', dtype='float32', optimizer=ADAM))
    message = 'no optimizer ends up in mixed precision.*float32'
    with pytest.raises(ValueError, match=message):
        enable_amp(cfg)
    with pytest.raises(ValueError, match=message):
        enable_amp(gan(), dtype='float32')


@pytest.mark.parametrize(
    'cfg', [dict(optim_wrapper=MMDET), ConfigDict(optim_wrapper=MMDET)]
)
def test_a_dict_is_told_how_to_become_a_config(cfg):
    with pytest.raises(TypeError, match=r'wrap it: Config\(cfg\)'):
        enable_amp(cfg)


def test_what_is_no_config():
    with pytest.raises(TypeError, match=r"got <class 'str'>$"):
        enable_amp('config.py')


# Purity, idempotence, dumps


GAN_FILE = """
default_scope = 'mmagic'
model = dict(type='DCGAN', generator=dict(type='DCGANGenerator'))
optimizer = dict(type='Adam', lr=0.0002, betas=(0.5, 0.999))
optim_wrapper = dict(
    constructor='MultiOptimWrapperConstructor',
    generator=dict(optimizer=optimizer),
    discriminator=dict(
        type='AmpOptimWrapper',
        dtype='bfloat16',
        optimizer=dict(type='Adam', lr=0.0004),
        clip_grad=dict(max_norm=10)))
work_dir = '{{ $AMP_TEST_DIR:./work_dirs }}'
"""
LAZY_FILE = """
import mmengine.optim
import torch
from mmengine.optim import AmpOptimWrapper, OptimWrapper as Wrapper
from not_installed.constructors import Constructor
from torch.optim import Adam

shared = dict(type=Wrapper, optimizer=dict(type=Adam, lr=0.0002))
optim_wrapper = dict(
    constructor=Constructor,
    generator=shared,
    discriminator=dict(
        type=AmpOptimWrapper, dtype=torch.bfloat16, optimizer=dict(type=Adam)),
    encoder=dict(type=mmengine.optim.OptimWrapper, optimizer=dict(type=Adam)))
"""


@pytest.fixture(params=[GAN_FILE, LAZY_FILE], ids=['text', 'lazy'])
def file_cfg(request, tmp_path):
    return from_text(tmp_path, request.param)


def test_given_config_is_not_touched(file_cfg):
    before = copy.deepcopy(file_cfg)
    out = enable_amp(file_cfg, dtype='float16', loss_scale=512)
    out.optim_wrapper.generator.optimizer.lr = 7
    out.added = 1
    assert plain(file_cfg) == plain(before)
    assert file_cfg.pretty_text == before.pretty_text


def test_a_refused_config_is_not_touched():
    cfg = gan(discriminator=dict(type='ApexOptimWrapper'))
    before = plain(cfg)
    with pytest.raises(ValueError, match='apex'):
        enable_amp(cfg)
    assert plain(cfg) == before


def test_only_optim_wrapper_differs(file_cfg):
    out, expected = plain(enable_amp(file_cfg)), plain(file_cfg)
    assert out.pop('optim_wrapper') != expected.pop('optim_wrapper')
    assert out == expected


def test_dicts_shared_with_other_keys_are_not_edited():
    entry = ConfigDict(optimizer=ADAM)
    cfg = Config(
        dict(backup=entry, optim_wrapper=dict(generator=entry, head=entry))
    )
    assert cfg.backup is cfg.optim_wrapper.generator
    out = enable_amp(cfg)
    assert out.optim_wrapper.generator.type == AMP
    assert out.optim_wrapper.head.type == AMP
    assert 'type' not in out.backup


def test_other_parts_are_copies_but_built_things_are_shared():
    model = torch.nn.Linear(1, 1)
    cfg = gan(model=model, hooks=[dict(type='EMAHook')])
    out = enable_amp(cfg)
    out.hooks[0].type = 'Changed'
    out.hooks.append(dict(type='Added'))
    assert plain(cfg)['hooks'] == [dict(type='EMAHook')]
    assert out.model is model


def test_attributes_of_the_config_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv('AMP_TEST_DIR', 'elsewhere')
    cfg = from_text(tmp_path, GAN_FILE)
    out = enable_amp(cfg)
    assert type(out) is Config
    assert out.filename == cfg.filename == str(tmp_path / 'config.py')
    assert out.text == cfg.text != ''
    assert (
        out.env_variables
        == cfg.env_variables
        == dict(AMP_TEST_DIR='elsewhere')
    )
    assert out.work_dir == 'elsewhere'


def test_lazy_config(tmp_path):
    cfg = from_text(tmp_path, LAZY_FILE)
    out = enable_amp(cfg)
    # Not imported: `not_installed` cannot be.
    assert isinstance(stored(out, 'optim_wrapper', 'constructor'), LazyObject)
    for name in ('generator', 'discriminator', 'encoder'):
        assert stored(out, 'optim_wrapper', name, 'type') == AMP
    assert out.optim_wrapper.generator.optimizer.type is torch.optim.Adam
    assert plain(out)['shared']['type'] == 'mmengine.optim.OptimWrapper'
    assert out._imported_names == cfg._imported_names
    assert amp_report(cfg, out)[1].after.dtype == 'bfloat16'


@pytest.mark.parametrize(
    'options', [{}, dict(dtype='float16', loss_scale={'init_scale': 8.0})]
)
def test_idempotent(file_cfg, options):
    once = enable_amp(file_cfg, **options)
    twice = enable_amp(once, **options)
    assert plain(twice) == plain(once)
    for change in amp_report(once, twice):
        assert change.before == change.after
        assert 'in mixed precision already' in str(change)


def test_the_dump_is_equal_and_needs_no_amp_again(file_cfg, tmp_path):
    out = enable_amp(file_cfg, loss_scale='512')
    out.dump(tmp_path / 'dumped.py')
    dumped = Config.fromfile(tmp_path / 'dumped.py')
    assert plain(dumped) == out.to_dict()
    assert plain(enable_amp(dumped)) == plain(dumped)
    # As a name the wrapper knows, in a lazy config too.
    assert dumped.optim_wrapper.discriminator.dtype == 'bfloat16'


def test_base_config_of_another_file(tmp_path):
    from_text(tmp_path, GAN_FILE, 'base.py')
    cfg = from_text(
        tmp_path,
        "_base_ = './base.py'\n"
        'optim_wrapper = dict(generator=dict(accumulative_counts=4))\n',
    )
    out = enable_amp(cfg).optim_wrapper.generator
    assert out.accumulative_counts == 4
    assert out.type == AMP


# The rule of the layout


def test_config_imports_neither_torch_nor_the_rest_of_mmamp():
    found = set()
    for path in Path(mmamp.config.amp.__file__).parent.glob('*.py'):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level <= 1, f'{path.name} leaves mmamp.config'
                found.add(node.module if node.level == 0 else '')
    assert 'mmengine.config' in found
    allowed = tuple(
        f'mmengine.{x}' for x in ('config', 'logging', 'registry', 'utils')
    )
    # Which import neither.
    found -= {
        'mmamp.compat.mmengine',
        'mmamp.errors',
        'mmamp.precision.names',
        'mmamp.utils.suggest',
    }
    for name in found:
        package = name.split('.')[0]
        assert package not in ('torch', 'mmamp'), name
        assert package != 'mmengine' or name.startswith(allowed), name


@pytest.mark.parametrize('dtype', ['float64', 'fp16', 'torch.int8'])
def test_a_dtype_of_the_config_that_there_is_none_of(dtype):
    entry = dict(optimizer=ADAM, type=AMP, dtype=dtype)
    cfg = config(dict(constructor='OptimWrapperConstructor', generator=entry))
    with pytest.raises(ValueError, match=r"optim_wrapper\.generator.*'auto'"):
        enable_amp(cfg)
