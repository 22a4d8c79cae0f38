"""Processes of the ``python`` fixture are as those of Python itself."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SAY = """
import json, os, sys, warnings
where = __spec__ and __spec__.name, globals().get('__file__')
print(json.dumps([sys.argv, sys.path[:3], os.getcwd(), where, __name__,
                  sys.executable, sys.stdin.read(), os.environ['MINE'],
                  sys.modules['__main__'].__dict__ is globals(),
                  'mmamp' in sys.modules, len(os.environ)]))
print(warnings.warn('mind'), file=sys.stderr)
sys.exit(CODE)
"""


@pytest.mark.parametrize(
    ('options', 'code'),
    [([], '0'), (['-u'], '7'), (['-W', 'ignore'], "'a word'")],
)
@pytest.mark.parametrize(
    'words', [['-m', 'said'], ['-c', SAY], ['there/said.py']]
)
def test_what_a_command_finds(tmp_path, environment, words, options, code):
    (tmp_path / 'there').mkdir()
    text = SAY.replace('CODE', code)
    (tmp_path / 'there/said.py').write_text(text)
    words = [text if word == SAY else word for word in words]
    env = environment(tmp_path / 'there', MINE='here')
    ends = [
        subprocess.run(
            [python, *options, *words, '--an', 'argument'],
            env=env,
            cwd=tmp_path,
            input='given',
            capture_output=True,
            text=True,
        )
        for python in (env['PYTHON'], sys.executable)
    ]
    warm, cold = ends
    assert json.loads(warm.stdout)[-2] is False
    assert warm.stdout == cold.stdout
    assert warm.stderr == cold.stderr
    assert warm.returncode == cold.returncode


@pytest.mark.parametrize(
    'code',
    [
        'import os; os._exit(9)',
        'import os, signal; os.kill(os.getpid(), signal.SIGKILL)',
        'import os, signal; os.kill(os.getpid(), signal.SIGTERM)',
        'raise KeyboardInterrupt',
        'raise ValueError',
        'import atexit; atexit.register(print, 1); print(2, end="")',
        'import threading; threading.Timer(0.1, print, [1]).start(); print(2)',
        'import sys; sys.stdout.close()',
        'from os import *; print(getsid(0) == getpid())',
    ],
)
def test_how_it_ends(environment, code):
    env = environment()
    warm, cold = (
        subprocess.run(
            [python, '-c', code],
            env=env,
            capture_output=True,
            text=True,
            start_new_session=True,
        )
        for python in (env['PYTHON'], sys.executable)
    )
    assert warm.returncode == cold.returncode
    assert warm.stdout == cold.stdout
    assert warm.stderr.splitlines()[-1:] == cold.stderr.splitlines()[-1:]


SLEEP = """
import os, signal, sys, time

def told(number, frame):
    print('told', number, flush=True)
    sys.exit(5)

signal.signal(signal.SIGUSR1, told)
print(os.getpid(), flush=True)
time.sleep(100)
"""


@pytest.mark.parametrize(
    ('number', 'code'),
    [
        (signal.SIGUSR1, 5),
        (signal.SIGTERM, -signal.SIGTERM),
        (signal.SIGINT, -signal.SIGINT),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_signals_reach_it(python, number, code):
    process = subprocess.Popen(
        [python, '-c', SLEEP],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    pid = int(process.stdout.readline())
    process.send_signal(number)
    said = process.communicate(timeout=30)[0]
    assert process.returncode == code
    assert said == ('told 10\n' if code == 5 else '')
    end = time.monotonic() + 10
    while Path(f'/proc/{pid}').exists():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_runs_of_two_processes_draw_other_numbers(python):
    code = 'import numpy, random; print(numpy.random.rand(), random.random())'
    first, second = (
        subprocess.check_output([python, '-c', code]) for _ in range(2)
    )
    assert first != second
    assert not set(first.split()) & set(second.split())


def test_other_options_are_those_of_a_python_from_its_start(python):
    code = 'import sys; print("torch" in sys.modules, sys.flags.optimize)'
    for options, found in ((), b'True 0\n'), (('-O',), b'False 1\n'):
        assert subprocess.check_output([python, *options, '-c', code]) == found
