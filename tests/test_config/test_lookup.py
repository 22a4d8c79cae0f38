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
from mmamp.config import lookup as config_lookup

NAME = 'mmamp::dcgan/dcgan_digits-32x32.py'
CONFIG = Path(__file__).parents[2] / 'configs/dcgan/dcgan_digits-32x32.py'


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


@pytest.fixture
def no_pkg_resources(monkeypatch):
    """As setuptools from 82 on."""
    monkeypatch.setitem(sys.modules, 'pkg_resources', None)


@pytest.mark.usefixtures('no_pkg_resources')
def test_without_pkg_resources():
    assert is_installed('mmengine')
    assert not is_installed('mm_nothing')
    assert get_installed_path('mmengine') == mmengine.__path__[0]
    with pytest.raises(ModuleNotFoundError, match='mm_nothing'):
        get_installed_path('mm_nothing')


def test_what_mmengine_finds_stays_as_it_is(monkeypatch, tmp_path):
    theirs = str(tmp_path)
    monkeypatch.setattr(
        config_lookup, '_their_get_installed_path', lambda _: theirs
    )
    monkeypatch.setattr(config_lookup, '_their_is_installed', lambda _: False)
    assert get_installed_path('mmengine') == theirs
    assert not is_installed('mmengine')


def test_a_folder_that_does_not_exist_is_corrected(monkeypatch, tmp_path):
    # What pkg_resources says of an editable install.
    wrong = str(tmp_path / 'mmamp')
    monkeypatch.setattr(
        config_lookup, '_their_get_installed_path', lambda _: wrong
    )
    assert get_installed_path('mmamp') == mmamp.__path__[0]


def test_mmengine_asks_the_same_functions_everywhere():
    assert mmengine_package_utils.is_installed is is_installed
    assert sys.modules['mmengine.hub.hub'].get_installed_path is (
        get_installed_path
    )
    assert sys.modules['mmengine.config.config'].is_installed is is_installed
    assert config_utils.MODULE2PACKAGE['mmamp'] == 'mmamp'
