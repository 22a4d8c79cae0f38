"""The command, as a user ends it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import is_alive

ROOT = Path(__file__).parents[3]
CONFIG = 'configs/dcgan/dcgan_digits-32x32.py'


def children_of(pid):
    return [
        int(x)
        for task in Path(f'/proc/{pid}/task').iterdir()
        for x in (task / 'children').read_text().split()
    ]


@pytest.mark.parametrize('to_all', [True, False])
def test_ctrl_c_ends_the_runs_too(tmp_path, to_all):
    """As a terminal sends it to all, and as ``kill -INT`` does to one."""
    command = [sys.executable, '-m', 'benchmarks.results', CONFIG]
    command += ['--work-dir', str(tmp_path), '--jobs', '2', '--seeds', '0']
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(2):
        assert process.stdout.readline().startswith('dcgan_digits-32x32: ')
    time.sleep(1)
    children = children_of(process.pid)
    assert len(children) == 2
    if to_all:
        os.killpg(process.pid, signal.SIGINT)
    else:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err == (
        'Interrupted. The same command goes on with the runs that are left.\n'
    )
    assert out == ''  # no run was begun after it
    assert not any(map(is_alive, children))
    assert not [*tmp_path.glob('*/*/result.json')]
