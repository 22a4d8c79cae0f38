import pytest
from mmengine.config import Config

from mmamp.config.loading import load_config, merge_options
from mmamp.errors import UsageError


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
