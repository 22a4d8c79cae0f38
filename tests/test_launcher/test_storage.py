import errno
import os

import pytest
from mmengine.config import Config

from mmamp.errors import StorageError
from mmamp.launcher import storage
from mmamp.launcher.storage import storage_error


def no_room(*names, code=errno.ENOSPC):
    return OSError(code, os.strerror(code), *names)


@pytest.fixture
def cfg(tmp_path):
    return Config(dict(work_dir=str(tmp_path)))


def test_of_a_file_that_has_a_name(cfg):
    text = str(storage_error(no_room('/there/it.json'), cfg))
    assert text.startswith("'/there/it.json' could not be written: No space")
    assert text.endswith('make room there')
    text = str(storage_error(no_room('/x', code=errno.EDQUOT), cfg))
    assert 'quota' in text


def test_of_a_file_that_has_none(cfg, monkeypatch):
    text = str(storage_error(no_room(), cfg))
    assert text.startswith('a file could not be written: No space')
    monkeypatch.setattr(storage, 'LITTLE', 2**80)
    text = str(storage_error(no_room(), cfg))
    assert text.startswith(f"'{cfg.work_dir}' could not be written: No space")


def test_of_others_there_is_none(cfg):
    error = StorageError('x')
    assert storage_error(error, cfg) is error
    assert storage_error(ValueError('x'), cfg) is None
    assert storage_error(no_room(code=errno.EACCES), cfg) is None
