import logging
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from mmamp.config.loading import load_config, merge_options
from mmamp.errors import UsageError

CONFIGS = Path(__file__).parents[2] / 'configs'


def test_load_config_reads_bases(tmp_path):
    (tmp_path / 'base.py').write_text('a = 1\n')
    (tmp_path / 'c.py').write_text("_base_ = 'base.py'\nb = 2\n")
    cfg = load_config(str(tmp_path / 'c.py'))
    assert (cfg.a, cfg.b) == (1, 2)


def test_missing_config_suggests_what_is_near(tmp_path):
    (tmp_path / 'dcgan_digits.py').write_text("model = dict(type='A')\n")
    with pytest.raises(UsageError, match='did you mean .*dcgan_digits.py'):
        load_config(str(tmp_path / 'dcgan_digit.py'))
    with pytest.raises(UsageError, match='does not exist$'):
        load_config(str(tmp_path / 'quite-another.py'))


def test_only_configs_are_suggested(tmp_path):
    for name, text in {
        'dcgan_train.py': 'import torch\nmodel_name = 3\ndef f(): model = 1\n',
        'dcgan_broken.py': 'model = (',
        'a/dcgan_trained.py': "_base_ = ['../b.py']\n",
        'b/dcgan_trainer.py': 'with read_base():\n    from .c import *\n',
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as error:
        load_config(str(tmp_path / 'dcgan_trai.py'))
    found = str(error.value).partition('; did you mean ')[2]
    assert set(re.findall(r'[^/]+/[^/]+?\.py', found)) == {
        'a/dcgan_trained.py',
        'b/dcgan_trainer.py',
    }


@pytest.mark.parametrize(
    ('base', 'meant'),
    [
        ('./dcgan_digit.py', 'dcgan_digits.py'),
        ('mmamp::dcgan/dcgan_digits-32x3.py', 'dcgan/dcgan_digits-32x32.py'),
    ],
)
def test_a_missing_base_suggests_what_is_near(tmp_path, base, meant):
    """And no list of all that a package has."""
    (tmp_path / 'dcgan_digits.py').write_text("model = dict(type='A')\n")
    (tmp_path / 'c.py').write_text(f'_base_ = {base!r}\n')
    with pytest.raises(UsageError, match=f'did you mean .*{meant}') as error:
        load_config(str(tmp_path / 'c.py'))
    assert 'the cause is' not in str(error.value)


def test_where_the_mistake_is(tmp_path):
    """Also one of a base; MMEngine says ``<unknown>``."""
    base, child = tmp_path / 'base.py', tmp_path / 'c.py'
    child.write_text("_base_ = './base.py'\n")
    for text, place in (
        ('a = 1\nmodel = dict(\n    b=2,\n', ', line 2: model = dict()'),
        ('a = 1\n    b = 2\n', ', line 2: b = 2)'),
        ('a = 1\nb = undefined\n', ', line 2)'),
        ('def f():\n    return 1 / 0\nb = f()\n', ', line 2)'),
    ):
        base.write_text(text)
        for file in (base, child):
            with pytest.raises(UsageError) as error:
                load_config(str(file))
            told = str(error.value)
            assert told.startswith(f'config file {str(file)!r} cannot be read')
            assert told.endswith(f'base.py{place}')
            assert '<unknown>' not in told


def test_a_config_without_settings(tmp_path):
    file = tmp_path / 'c.py'
    file.write_text('# to be written\n')
    with pytest.raises(UsageError, match=r"c.py' holds no settings$"):
        load_config(str(file))


@pytest.mark.parametrize('text', ['a = (', "_base_ = 'x.py'", '1 / 0'])
def test_config_that_cannot_be_parsed(tmp_path, text):
    file = tmp_path / 'c.py'
    file.write_text(text)
    with pytest.raises(UsageError, match='c.py') as error:
        load_config(str(file))
    assert '\n' not in str(error.value)


def test_merge_options(mm_log):
    model = dict(b=[1, dict(c=2)])
    cfg = Config(dict(model=model, custom_hooks=[dict(x=1)]))
    merge_options(cfg, {'model.b': [3], 'custom_hooks.0.x': 5})
    assert cfg.model.b == [3]
    assert cfg.custom_hooks[0].x == 5
    assert mm_log() == ''


def test_new_keys_are_set_with_a_warning(mm_log):
    cfg = Config(dict(train_cfg=dict(max_iters=3)))
    merge_options(cfg, {'train_cfg.max_iter': 4})
    assert cfg.train_cfg.max_iter == 4
    assert "train_cfg had no 'max_iter'" in mm_log()
    assert 'did you mean max_iters?' in mm_log()


@pytest.mark.parametrize('given', ['save_format', 'async_save', 'save_fromat'])
def test_an_argument_that_the_class_has_is_no_mistake(given, mm_log):
    """Though the config has not given it."""
    hook = dict(type='CheckpointHook', interval=3)
    cfg = Config(dict(default_hooks=dict(checkpoint=hook)))
    merge_options(cfg, {f'default_hooks.checkpoint.{given}': 'dcp'})
    assert ('had no' in mm_log()) == (given == 'save_fromat')


@pytest.mark.parametrize('given', ['accumulative_counts', 'acumulative'])
def test_an_argument_of_a_wrapper_without_a_type(given, mm_log):
    adam = dict(optimizer=dict(type='Adam'))
    cfg = Config(dict(optim_wrapper=dict(generator=adam)))
    merge_options(cfg, {f'optim_wrapper.generator.{given}': 2})
    assert ('had no' in mm_log()) == (given == 'acumulative')


def test_a_key_that_leads_nowhere():
    with pytest.raises(UsageError, match='--cfg-options'):
        merge_options(Config(dict(a=[1])), {'a.7': 2})


def test_keys_that_every_config_may_have_are_set_without_one(mm_log):
    cfg = Config(dict(optim_wrapper=dict(optimizer=dict(type='SGD'))))
    options = {
        'randomness.seed': 3,
        'auto_scale_lr.enable': True,
        'runner_type': 'FlexibleRunner',
        'optim_wrapper.optimizer._delete_': True,
        'optim_wrapper.optimizer.type': 'Adam',
    }
    merge_options(cfg, options)
    assert mm_log() == ''
    assert cfg.randomness.seed == 3
    merge_options(cfg, {'randomnes.seed': 4})
    assert 'did you mean randomness?' in mm_log()


@pytest.mark.parametrize(
    ('key', 'meant'),
    [
        ('custom_hook', 'custom_hooks'),
        ('optim_wraper', 'optim_wrapper'),
        ('default_hook', 'default_hooks'),
        ('param_schedulers', 'param_scheduler'),
        ('train_cgf', 'train_cfg'),
        ('runer_type', 'runner_type'),
    ],
)
def test_misspelt_keys_of_a_file_are_told_of(tmp_path, mm_log, key, meant):
    (tmp_path / 'base.py').write_text('custom_hooks = []\n')
    file = tmp_path / 'c.py'
    file.write_text(f"_base_ = 'base.py'\n{key} = dict(a=1)\n")
    assert load_config(str(file))[key] == dict(a=1)
    log = mm_log(logging.WARNING)
    assert f'c.py: nothing reads the key {key!r}; did you mean {meant}?' in log


def test_hooks_beside_those_of_a_base(tmp_path):
    """As the README has it."""
    (tmp_path / 'base.py').write_text("custom_hooks = [dict(type='A')]\n")
    file = tmp_path / 'c.py'
    file.write_text(
        "_base_ = 'base.py'\n"
        "custom_hooks = [*_base_.custom_hooks, dict(type='B')]\n"
    )
    assert [x.type for x in load_config(str(file)).custom_hooks] == ['A', 'B']


def test_a_configs_own_variables_are_not(tmp_path, mm_log):
    names = 'pipeline data_root train_dataset vis_backends val_dataloader_2'
    file = tmp_path / 'c.py'
    file.write_text(''.join(f'{x} = 1\n' for x in names.split()))
    load_config(str(file))
    assert mm_log(logging.WARNING) == ''


def test_a_variable_that_is_used_is_not(tmp_path, mm_log):
    """As MMEngine dumps it, and as a child of such a config has it."""
    file = tmp_path / 'c.py'
    file.write_text(
        "test_pipeline = [dict(type='Resize', scale=(1, 2))]\n"
        'test_dataloader = dict(dataset=dict('
        "pipeline=[dict(type='Resize', scale=(1, 2))]))\n"
    )
    load_config(str(file))
    assert mm_log(logging.WARNING) == ''


@pytest.mark.parametrize('file', sorted(CONFIGS.glob('*/*.py')), ids=str)
def test_the_configs_here_are_not(mm_log, file):
    load_config(str(file))
    assert 'nothing reads' not in mm_log()
