import sys
from pathlib import Path

import mmengine
import pytest
from mmengine.config import Config
from mmengine.config import utils as config_utils
from mmengine.hub import get_config
from mmengine.utils import get_installed_path, is_installed
from mmengine.utils import package_utils as mmengine_package_utils

import mmamp
from mmamp.config import lookup
from mmamp.config.launch import UsageError, load_config
from mmamp.config.lookup import config_file

NAME = 'mmamp::dcgan/dcgan_digits-32x32.py'
CONFIG = Path(__file__).parents[2] / 'configs/dcgan/dcgan_digits-32x32.py'


def write_package(folder, name):
    """A package that is no installed distribution, with one config."""
    configs = folder / name / '.mim' / 'configs'
    configs.mkdir(parents=True)
    (folder / name / '__init__.py').touch()
    (folder / name / '.mim' / 'model-index.yml').write_text('Import: []')
    (configs / 'a.py').write_text('answer = 42')
    return folder / name


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path / 'site')
    return write_package(tmp_path / 'site', 'mm_other')


def test_get_config_finds_the_configs_of_mmamp():
    cfg = get_config(NAME)
    assert cfg.model == Config.fromfile(CONFIG).model
    assert cfg.default_scope == 'mmamp'


def test_base_of_a_config_is_found_by_its_package(tmp_path):
    (tmp_path / 'c.py').write_text(
        f'_base_ = {NAME!r}\ntrain_cfg = dict(max_iters=7)'
    )
    cfg = Config.fromfile(tmp_path / 'c.py')
    assert cfg.train_cfg.max_iters == 7
    assert cfg.model._scope_ == 'mmamp'
    assert cfg.optim_wrapper.generator.optimizer.lr == 1e-3


def test_two_bases_of_one_package(tmp_path):
    (tmp_path / 'c.py').write_text(
        "_base_ = ['mmamp::_base_/default_runtime.py', "
        "'mmamp::_base_/models/dcgan_32x32.py']"
    )
    cfg = Config.fromfile(tmp_path / 'c.py')
    assert cfg.model.type == 'ImageGAN'
    assert cfg.default_scope == 'mmamp'


def test_load_config_takes_the_name_of_a_package():
    cfg = load_config(NAME)
    assert cfg.optim_wrapper == Config.fromfile(CONFIG).optim_wrapper
    assert Path(cfg.filename).samefile(CONFIG)


def test_load_config_takes_any_package(package):
    assert load_config('mm_other::a.py').answer == 42


@pytest.mark.parametrize(
    'name', ['mmamp::dcgan/dcgan_digit-32x32.py', 'mmamp::x/dcgan_digits.py']
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


@pytest.fixture
def no_pkg_resources(monkeypatch):
    """As setuptools from 82 on."""
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)


@pytest.mark.usefixtures('no_pkg_resources')
def test_without_pkg_resources(package):
    assert is_installed('mmengine')
    assert is_installed('mm_other')
    assert not is_installed('mm_nothing')
    assert Path(get_installed_path('mm_other')).samefile(package)
    assert get_installed_path('mmengine') == mmengine.__path__[0]
    with pytest.raises(ModuleNotFoundError, match='mm_nothing'):
        get_installed_path('mm_nothing')


@pytest.mark.usefixtures('no_pkg_resources')
def test_without_pkg_resources_by_the_name_of_the_distribution():
    # Its module has another name.
    assert Path(get_installed_path('scikit-learn')).name == 'sklearn'


def test_what_mmengine_finds_stays_as_it_is(monkeypatch, tmp_path):
    theirs = str(tmp_path)
    monkeypatch.setattr(lookup, '_their_get_installed_path', lambda _: theirs)
    monkeypatch.setattr(lookup, '_their_is_installed', lambda _: False)
    assert get_installed_path('mmengine') == theirs
    assert not is_installed('mmengine')


def test_a_folder_that_does_not_exist_is_corrected(monkeypatch, tmp_path):
    # What pkg_resources says of an editable install.
    wrong = str(tmp_path / 'mmamp')
    monkeypatch.setattr(lookup, '_their_get_installed_path', lambda _: wrong)
    assert get_installed_path('mmamp') == mmamp.__path__[0]


def test_mmengine_asks_the_same_functions_everywhere():
    assert mmengine_package_utils.is_installed is is_installed
    assert sys.modules['mmengine.hub.hub'].get_installed_path is (
        get_installed_path
    )
    assert sys.modules['mmengine.config.config'].is_installed is is_installed
    assert config_utils.MODULE2PACKAGE['mmamp'] == 'mmamp'
