import logging
from pathlib import Path

import pytest

from mmamp.logging.log_file import tell_once

pytestmark = pytest.mark.skipif(
    not Path('/dev/full').exists(), reason='a device of Linux'
)


@pytest.fixture
def logger():
    made = logging.Logger('x')
    made.addHandler(logging.FileHandler('/dev/full'))
    return made


def test_a_log_that_cannot_be_written_is_told_once(logger, capsys):
    tell_once(logger)
    for _ in range(3):
        logger.info('a line')
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('The log /dev/full cannot be written to: No space')


def test_other_errors_are_told_as_ever(logger, capsys):
    tell_once(logger)
    logger.info('%d', 'no number')
    assert 'TypeError' in capsys.readouterr().err
