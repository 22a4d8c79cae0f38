import logging
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from mmamp.errors import PackageExit, Preempted
from mmamp.launcher.mistakes import complain, exit_code


@pytest.fixture
def log():
    logger = MMLogger.get_current_instance()
    handler = logging.FileHandler('/dev/full')
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


@pytest.mark.skipif(not Path('/dev/full').exists(), reason='a device of Linux')
@pytest.mark.usefixtures('log')
def test_a_log_that_cannot_be_written(capsys):
    complain(ValueError('a mistake'), 'command')
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('command: error: ValueError: a mistake (and /dev/')
    assert 'No space left on device' in line


def test_an_error_that_says_nothing_shows_its_line(capsys):
    """As an assert of a toolbox."""
    try:
        assert len('ab') == 3
    except AssertionError as error:
        error.args = ()  # which pytest writes for its own
        complain(error, 'command')
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f'command: error: AssertionError: {__file__}:')
    assert "assert len('ab') == 3" in line


@pytest.mark.parametrize('code', [0, None])
def test_a_package_that_ends_the_process(capsys, code):
    with pytest.raises(SystemExit) as caught:
        exit(code)
    assert exit_code(caught.value, 'command') == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith('command: error: PackageExit: what it printed is')
    assert f'in {__file__}:' in line


def test_a_package_that_ended_the_process_while_it_was_built(capsys):
    error = PackageExit(SystemExit(), 'Lion: triton is not installed')
    assert exit_code(error, 'command') == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert 'PackageExit: Lion: triton is not installed (' in line


@pytest.mark.parametrize('error', [SystemExit(5), Preempted('a')])
def test_ends_that_are_meant(error):
    with pytest.raises(SystemExit):
        exit_code(error, 'command')
