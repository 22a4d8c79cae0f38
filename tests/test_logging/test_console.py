"""What of a log a console shows."""

import logging

import pytest
from mmengine.logging import MMLogger

from mmamp.logging.console import QuietConsole, consoles_of

HIDDEN = [
    (logging.INFO, f'\n{"-" * 60}\nSystem environment:\n    sys: linux'),
    (logging.INFO, "Config:\nmodel = dict(type='A')"),
    (logging.INFO, 'Hooks will be executed in the following order:\nbefore'),
    (logging.WARNING, '"FileClient" will be deprecated in future. Please'),
    (logging.WARNING, '"HardDiskBackend" is the alias of "LocalBackend"'),
    (logging.WARNING, 'Failed to search registry with scope "a" in the "b"'),
    (logging.WARNING, 'Advance dataloader 2 steps to skip data that has'),
]
SHOWN = [
    (logging.INFO, 'Config: of the user, in one line'),
    (logging.INFO, 'My hook will be executed in this order'),
    (logging.INFO, 'Iter(train) [1/2] lr: 1.0'),
    (logging.WARNING, '"MyClient" will be deprecated in future.'),
    (logging.ERROR, 'Something is wrong'),
]


@pytest.fixture
def logged(tmp_path, capsys):
    """What a console and a file have of some messages."""

    def logged(*messages, level='INFO', quiet=None):
        quiet = quiet or QuietConsole()
        file = tmp_path / 'a.log'
        with quiet.on_new_loggers():
            logger = MMLogger('here', log_file=str(file), log_level=level)
        for number, text in messages:
            logger.log(number, text)
        return capsys.readouterr().out, file.read_text()

    return logged


@pytest.mark.parametrize('message', HIDDEN, ids=lambda x: x[1][:20])
def test_what_is_in_the_file_alone(logged, message):
    console, file = logged(message)
    assert console == ''
    assert message[1] in file


@pytest.mark.parametrize('message', SHOWN, ids=lambda x: x[1][:20])
def test_what_is_of_others_is_shown(logged, message):
    console, file = logged(message, message)
    # Twice where it is said twice.
    assert console.count(message[1]) == file.count(message[1])
    assert message[1] in console


def test_who_asks_for_all_gets_it(logged):
    console, _ = logged(*HIDDEN, level='DEBUG')
    assert all(text in console for _, text in HIDDEN)


def test_what_wrappers_say_in_the_same_words_comes_once(logged):
    same = (logging.INFO, 'AmpOptimWrapper: Adam steps in fused kernels')
    other = (logging.INFO, 'AmpOptimWrapper: SGD steps in fused kernels')
    console, file = logged(same, other, same)
    assert console.count(same[1]) == 1
    assert other[1] in console
    assert file.count(same[1]) == 2


def test_progress_that_somebody_takes(logged):
    quiet, taken = QuietConsole(), []
    quiet.take_progress = taken.append
    line = (logging.INFO, 'Epoch(train) [1][1/2] lr: 1.0')
    console, file = logged(line, quiet=quiet)
    assert (console, taken) == ('', [line[1]])
    assert line[1] in file


def test_loggers_of_others_are_left_alone(capsys):
    with QuietConsole().on_new_loggers():
        pass
    logger = MMLogger('theirs')
    assert len(consoles_of(logger)) == 1
    logger.info(HIDDEN[1][1])
    assert HIDDEN[1][1] in capsys.readouterr().out
