import os
import subprocess
import time

import pytest
from mmengine.fileio import get_file_backend

from mmamp.checkpoint.atomic import AtomicLocalBackend, remove_leftovers


@pytest.fixture
def backend():
    return get_file_backend(backend_args=dict(backend='mmamp.atomic'))


def test_writes_bytes_and_text(backend, tmp_path):
    assert isinstance(backend, AtomicLocalBackend)
    backend.put(b'one', tmp_path / 'new/folder/a.pth')
    backend.put(b'two', tmp_path / 'new/folder/a.pth')
    backend.put_text('drei', tmp_path / 'b.txt')
    assert backend.get(tmp_path / 'new/folder/a.pth') == b'two'
    assert backend.get_text(tmp_path / 'b.txt') == 'drei'
    assert os.listdir(tmp_path / 'new/folder') == ['a.pth']


WRITE = """
import sys
from mmamp.checkpoint.atomic import AtomicLocalBackend
backend = AtomicLocalBackend()
for i in range(10**6):
    backend.put(bytes([i % 256]) * 5_000_000, sys.argv[1])
    if i == 0:
        print('going', flush=True)
"""


def test_killed_while_writing_leaves_a_whole_file(tmp_path, python):
    path = tmp_path / 'a.pth'
    for i in range(3):
        process = subprocess.Popen(
            [python, '-c', WRITE, str(path)],
            stdout=subprocess.PIPE,
            cwd=os.getcwd(),
        )
        process.stdout.readline()
        time.sleep(0.03 * i)
        process.kill()
        process.communicate()
        content = path.read_bytes()
        assert len(content) == 5_000_000
        assert len(set(content)) == 1


def test_leftovers_are_removed_and_nothing_else(tmp_path):
    for name in ('.iter_5.pth.tmp', 'iter_4.pth', '.other.tmp', 'x.tmp'):
        (tmp_path / name).touch()
    remove_leftovers(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == [
        '.other.tmp',
        'iter_4.pth',
        'x.tmp',
    ]
