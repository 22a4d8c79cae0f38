import logging
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from mmamp.launcher.mistakes import complain

pytestmark = pytest.mark.skipif(
    not Path('/dev/full').exists(), reason='a device of Linux'
)


@pytest.fixture
def log():
    logger = MMLogger.get_current_instance()
    handler = logging.FileHandler('/dev/full')
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


@pytest.mark.usefixtures('log')
def test_a_log_that_cannot_be_written(capsys):
    complain(ValueError('a mistake'), 'command')
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('command: error: ValueError: a mistake (and /dev/')
    assert 'No space left on device' in line
