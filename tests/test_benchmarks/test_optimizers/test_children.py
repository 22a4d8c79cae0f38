"""Of ``benchmarks.optimizers.children``."""

import os
import sys
import time

import pytest

from benchmarks.optimizers.children import TIMED_OUT, in_child


def shout():
    print('one')
    print('two', file=sys.stderr)
    return 3


def sleep():
    time.sleep(60)


def fail():
    raise KeyError('lr')


@pytest.mark.parametrize(
    ('call', 'code', 'said'),
    [
        (shout, 3, 'one'),
        (fail, 1, "KeyError: 'lr'"),
        (sys.exit, 0, ''),
        (lambda: sys.exit('install triton'), 1, 'install triton'),
        (os.abort, -6, ''),
        (sleep, TIMED_OUT, ''),
    ],
)
def test_how_it_ends(call, code, said, tmp_path, capsys):
    log = tmp_path / 'log.txt'
    with capsys.disabled():
        found = in_child(call, log, 60 if call is not sleep else 0.1)
    assert found == code
    assert said in log.read_text()
