import pytest
from mmengine.config import Config
from mmengine.hooks import CheckpointHook, EMAHook, Hook

from mmamp.config.data import seed_data
from mmamp.config.hooks import HOOKS, add_hooks, evaluate_as_trained
from mmamp.config.loading import load_config, merge_options
from mmamp.errors import UsageError
from mmamp.launcher.edits import check_constructor, enable_auto_scale_lr


def test_load_config_reads_bases(tmp_path):
    (tmp_path / 'base.py').write_text('a = 1\n')
    (tmp_path / 'c.py').write_text("_base_ = 'base.py'\nb = 2\n")
    cfg = load_config(str(tmp_path / 'c.py'))
    assert (cfg.a, cfg.b) == (1, 2)


def test_missing_config_suggests_what_is_near(tmp_path):
    (tmp_path / 'dcgan_digits.py').touch()
    with pytest.raises(UsageError, match='did you mean .*dcgan_digits.py'):
        load_config(str(tmp_path / 'dcgan_digit.py'))
    with pytest.raises(UsageError, match='does not exist$'):
        load_config(str(tmp_path / 'quite-another.py'))


@pytest.mark.parametrize('text', ['a = (', "_base_ = 'x.py'", '1 / 0'])
def test_config_that_cannot_be_parsed(tmp_path, text):
    file = tmp_path / 'c.py'
    file.write_text(text)
    with pytest.raises(UsageError, match='c.py') as error:
        load_config(str(file))
    assert '\n' not in str(error.value)


def test_merge_options(mm_log):
    cfg = Config(dict(a=dict(b=[1, dict(c=2)]), hooks=[dict(x=1)]))
    merge_options(cfg, {'a.b': [3], 'hooks.0.x': 5})
    assert cfg.a.b == [3]
    assert cfg.hooks[0].x == 5
    assert mm_log() == ''


def test_new_keys_are_set_with_a_warning(mm_log):
    cfg = Config(dict(train_cfg=dict(max_iters=3)))
    merge_options(cfg, {'train_cfg.max_iter': 4})
    assert cfg.train_cfg.max_iter == 4
    assert "train_cfg had no 'max_iter'" in mm_log()
    assert 'did you mean max_iters?' in mm_log()


def test_a_key_that_leads_nowhere():
    with pytest.raises(UsageError, match='--cfg-options'):
        merge_options(Config(dict(a=[1])), {'a.7': 2})


def test_auto_scale_lr():
    cfg = Config(dict(auto_scale_lr=dict(base_batch_size=8, enable=False)))
    enable_auto_scale_lr(cfg)
    assert cfg.auto_scale_lr.enable is True
    for lacking in ({}, dict(auto_scale_lr=None)):
        with pytest.raises(UsageError, match='base_batch_size'):
            enable_auto_scale_lr(Config(lacking))


class Mine(Hook):
    pass


class StateHook(Hook):
    pass


ALL_BUT_STATE = [name for name in HOOKS if name != 'StateHook']


@pytest.mark.parametrize(
    ('present', 'added'),
    [
        (None, HOOKS),
        ([dict(type='mmamp.StateHook')], ALL_BUT_STATE),
        ([dict(type=StateHook)], ALL_BUT_STATE),
        ([StateHook()], ALL_BUT_STATE),
        ([Mine()], HOOKS),
        ([dict(type=name) for name in HOOKS], []),
    ],
)
def test_add_hooks(present, added):
    cfg = Config(dict(custom_hooks=present))
    add_hooks(cfg)
    hooks = cfg.custom_hooks or []
    types = [h['type'] for h in hooks[len(present or []) :]]
    assert types == [f'mmamp.{name}' for name in added]


@pytest.mark.parametrize(
    ('given', 'expected'),
    [
        (None, 'mmamp.CheckpointHook'),
        (dict(), 'mmamp.CheckpointHook'),
        (
            dict(checkpoint=dict(type='CheckpointHook', interval=3)),
            'mmamp.CheckpointHook',
        ),
        (
            dict(checkpoint=dict(type='mmengine.CheckpointHook')),
            'mmamp.CheckpointHook',
        ),
        (dict(checkpoint=dict(type=CheckpointHook)), 'mmamp.CheckpointHook'),
        (dict(checkpoint=dict(type='theirs.Checkpoints')), None),
        (dict(checkpoint=None), None),
    ],
)
def test_only_a_stock_checkpoint_hook_is_replaced(given, expected, mm_log):
    cfg = Config(dict(default_hooks=given))
    add_hooks(cfg)
    if expected is None:
        assert cfg.default_hooks.checkpoint == given['checkpoint']
        assert 'CheckpointHook ->' not in mm_log()
        return
    assert cfg.default_hooks.checkpoint.type == expected
    assert 'CheckpointHook -> mmamp.CheckpointHook' in mm_log()
    if given and 'interval' in given.get('checkpoint', {}):
        assert cfg.default_hooks.checkpoint.interval == 3


def test_a_stock_runtime_info_hook_is_replaced(mm_log):
    cfg = Config(dict())
    add_hooks(cfg)
    assert cfg.default_hooks.runtime_info.type == 'mmamp.RuntimeInfoHook'
    assert 'RuntimeInfoHook -> mmamp.RuntimeInfoHook' in mm_log()
    before = cfg.to_dict()
    add_hooks(cfg)
    assert cfg.to_dict() == before
    for own in (None, dict(type='theirs.RuntimeInfoHook')):
        cfg = Config(dict(default_hooks=dict(runtime_info=own)))
        add_hooks(cfg)
        assert cfg.default_hooks.runtime_info == own


class TestSeedData:
    def test_wraps_dataset_and_sampler_once(self, mm_log):
        cfg = Config(
            dict(
                train_dataloader=dict(
                    dataset=dict(type='A'), sampler=dict(type='B')
                )
            )
        )
        seed_data(cfg)
        seed_data(cfg)
        loader = cfg.train_dataloader
        assert loader.dataset.type == 'mmamp.SeededDataset'
        assert loader.dataset.dataset.type == 'A'
        assert loader.sampler.type == 'mmamp.SeededSampler'
        assert loader.sampler.sampler.type == 'B'
        assert mm_log().count('seeded by the position') == 1

    @pytest.mark.parametrize(
        'loader', [None, dict(), dict(dataset=dict(type='A'), sampler=None)]
    )
    def test_leaves_what_it_cannot_wrap(self, loader):
        cfg = Config(dict(train_dataloader=loader))
        before = cfg.pretty_text
        seed_data(cfg)
        assert cfg.pretty_text == before


@pytest.mark.parametrize(
    ('kind', 'scope', 'is_told'),
    [
        ('EMAHook', 'mmdet', True),
        ('mmengine.EMAHook', 'mmamp', True),
        (EMAHook, 'mmamp', True),
        ('EMAHook', 'mmamp', False),
        ('mmamp.EMAHook', 'mmdet', False),
    ],
)
def test_mmengines_average_is_told_of(kind, scope, is_told, mm_log):
    cfg = Config(dict(default_scope=scope, custom_hooks=[dict(type=kind)]))
    add_hooks(cfg)
    assert cfg.custom_hooks[0].type is kind or cfg.custom_hooks[0].type == kind
    assert ("type='mmamp.EMAHook' does not" in mm_log()) == is_told


def amp(**kwargs):
    return dict(type='mmamp.AmpOptimWrapper', optimizer=dict(), **kwargs)


class TestEvaluateAsTrained:
    def cfg(self, wrapper, **kwargs):
        loops = dict(val_cfg=dict(), val_dataloader=dict()) | kwargs
        return Config(dict(optim_wrapper=wrapper, **loops))

    @pytest.mark.parametrize(
        'wrapper',
        [
            amp(),
            amp(dtype='float16'),
            dict(discriminator=amp(), generator=amp(dtype='auto')),
            dict(one=amp(dtype='bfloat16'), two=amp()),
        ],
    )
    def test_in_the_dtype_of_training(self, wrapper, mm_log):
        cfg = self.cfg(wrapper)
        evaluate_as_trained(cfg)
        evaluate_as_trained(cfg)
        (hook,) = cfg.custom_hooks
        assert hook == dict(type='mmamp.EvalPrecisionHook')
        assert mm_log().count('evaluates in the dtype of training') == 1

    @pytest.mark.parametrize(
        ('wrapper', 'kwargs'),
        [
            (dict(optimizer=dict()), {}),
            (amp(dtype='float32'), {}),
            (dict(generator=dict(optimizer=dict()), critic=amp()), {}),
            (dict(), {}),
            (amp(), dict(val_dataloader=None)),
            (amp(), dict(val_cfg=dict(fp16=False))),
        ],
        ids=['plain', 'kept', 'generator', 'none', 'no val', 'set'],
    )
    def test_nothing_to_add(self, wrapper, kwargs, mm_log):
        cfg = self.cfg(wrapper, **kwargs)
        evaluate_as_trained(cfg)
        assert 'custom_hooks' not in cfg
        assert not mm_log()


def test_several_optimizers_without_a_constructor():
    adam = dict(type='Adam', lr=1e-4)
    entries = dict(
        generator=dict(optimizer=adam), discriminator=dict(optimizer=adam)
    )
    text = 'for generator and discriminator, but no constructor'
    with pytest.raises(UsageError, match=text):
        check_constructor(Config(dict(optim_wrapper=entries)))
    for fine in (
        dict(entries, constructor='MultiOptimWrapperConstructor'),
        dict(optimizer=adam),
        dict(optimizer=adam, paramwise_cfg=dict(optimizer=1)),
        None,
    ):
        check_constructor(Config(dict(optim_wrapper=fine)))
