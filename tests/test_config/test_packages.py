import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from mmamp.config.loading import load_config
from mmamp.config.packages import config_file, package_folder
from mmamp.errors import UsageError

NAME = 'mmamp::dcgan/dcgan_digits-32x32.py'
CONFIG = Path(__file__).parents[2] / 'configs/dcgan/dcgan_digits-32x32.py'


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with one config: mm-other, with the module mm_other."""
    configs = tmp_path / 'mm_other' / '.mim' / 'configs'
    configs.mkdir(parents=True)
    (tmp_path / 'mm_other' / '__init__.py').touch()
    (configs / 'a.py').write_text('answer = 42')
    about = tmp_path / 'mm_others-1.0.dist-info'
    about.mkdir()
    (about / 'METADATA').write_text('Name: mm-others\nVersion: 1.0\n')
    (about / 'top_level.txt').write_text('mm_other\n')
    monkeypatch.setattr(sys, 'path', [str(tmp_path), *sys.path])
    return tmp_path / 'mm_other'


def test_load_config_takes_the_name_of_a_package():
    cfg = load_config(NAME)
    assert cfg.optim_wrapper == Config.fromfile(CONFIG).optim_wrapper
    assert Path(cfg.filename).samefile(CONFIG)


def test_load_config_takes_any_package(package):
    assert load_config('mm_other::a.py').answer == 42


@pytest.mark.parametrize(
    'name', ['mmamp::dcgan/dcgan_digit-32x32.py', 'mmamp::dcgan_digits.py']
)
def test_load_config_says_what_is_near(name):
    with pytest.raises(UsageError, match=f'{name}.*dcgan_digits-32x32.py'):
        load_config(name)


def test_a_package_that_there_is_not():
    with pytest.raises(UsageError, match='no package .mm_nothing.'):
        load_config('mm_nothing::a.py')


def test_a_package_without_configs():
    with pytest.raises(UsageError, match='json.*has no configs'):
        load_config('json::a.py')


def test_config_file_of_a_path():
    assert config_file('a/b.py') == Path('a/b.py')


@pytest.mark.parametrize('name', ['mm_other', 'mm-others'])
def test_folder_by_module_and_by_distribution(package, name):
    assert package_folder(name) == package


def test_folder_of_what_there_is_not():
    assert package_folder('mm_nothing') is None
