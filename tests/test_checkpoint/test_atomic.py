import errno
import multiprocessing
import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from mmengine.fileio import get_file_backend
from mmengine.runner import save_checkpoint

from mmamp.checkpoint import atomic
from mmamp.checkpoint.atomic import (
    AtomicLocalBackend,
    remove_leftovers,
    written_whole,
)
from mmamp.errors import StorageError


@pytest.fixture
def backend():
    return get_file_backend(backend_args=dict(backend='mmamp.atomic'))


def test_writes_bytes_and_text(backend, tmp_path):
    assert isinstance(backend, AtomicLocalBackend)
    backend.put(b'one', tmp_path / 'new/folder/a.pth')
    backend.put(b'two', tmp_path / 'new/folder/a.pth')
    backend.put_text('drei', tmp_path / 'b.txt')
    backend.save([1, 2], tmp_path / 'c.pth')
    assert backend.get(tmp_path / 'new/folder/a.pth') == b'two'
    assert backend.get_text(tmp_path / 'b.txt') == 'drei'
    assert torch.load(tmp_path / 'c.pth', weights_only=True) == [1, 2]
    assert os.listdir(tmp_path / 'new/folder') == ['a.pth']
    ordinary = tmp_path / 'ordinary'
    ordinary.touch()
    modes = {path.stat().st_mode for path in (ordinary, tmp_path / 'b.txt')}
    assert len(modes) == 1


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


def test_leftovers_are_removed_and_nothing_else(tmp_path, mm_log):
    left = '.iter_5.pt.0123abcd.mmamp.tmp'
    for name in (left, 'iter_4.pth', '.other.tmp', 'x.tmp'):
        (tmp_path / name).touch()
    remove_leftovers(str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == [
        '.other.tmp',
        'iter_4.pth',
        'x.tmp',
    ]
    assert left in mm_log()


WRITE_SLOWLY = """
import sys
from pathlib import Path
from mmamp.checkpoint.atomic import written_whole
with written_whole(Path(sys.argv[1])) as file:
    file.write(b'whole')
    print('going', flush=True)
    sys.stdin.readline()
"""


def test_what_a_living_process_writes_is_no_leftover(tmp_path):
    """Two runs have one folder; the first is killed, the other is not."""
    path = tmp_path / 'a.pth'
    runs = [
        subprocess.Popen(
            [sys.executable, '-c', WRITE_SLOWLY, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=os.getcwd(),
        )
        for _ in range(2)
    ]
    for run in runs:
        run.stdout.readline()
    runs[0].kill()
    runs[0].communicate()
    assert len(os.listdir(tmp_path)) == 2
    remove_leftovers(str(tmp_path))
    assert len(os.listdir(tmp_path)) == 1
    runs[1].communicate(b'\n')
    assert runs[1].returncode == 0
    assert os.listdir(tmp_path) == ['a.pth']
    assert path.read_bytes() == b'whole'


def checkpoint_of(mebibytes):
    return dict(state_dict=dict(w=torch.ones(mebibytes * 2**18)))


def by_backend(obj, path):
    AtomicLocalBackend().put(bytes(obj['state_dict']['w'].nbytes), path)


def by_mmengine(obj, path):
    save_checkpoint(obj, path, backend_args=dict(backend='mmamp.atomic'))


def streamed(obj, path):
    AtomicLocalBackend().save(obj, path)


@pytest.mark.parametrize('write', [by_backend, by_mmengine, streamed])
def test_a_full_disk(small_disk, write):
    path = str(small_disk / 'iter_1.pth')
    write(checkpoint_of(1), path)
    before = os.path.getsize(path)
    with pytest.raises(StorageError, match='No space left') as error:
        write(checkpoint_of(8), path)
    assert os.listdir(small_disk) == ['iter_1.pth']
    assert os.path.getsize(path) == before
    assert 'make room' in str(error.value)
    assert '\n' not in str(error.value)
    assert error.value.errno == errno.ENOSPC


@pytest.mark.skipif(sys.platform == 'win32', reason='has no such limit')
@pytest.mark.parametrize('write', [by_backend, by_mmengine, streamed])
def test_a_limit_on_files(tmp_path, write):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, limits[1]))
    try:
        with pytest.raises(StorageError, match='ulimit'):
            write(checkpoint_of(2), str(tmp_path / 'iter_1.pth'))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path) == []


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / 'out').touch()
    with pytest.raises(StorageError, match='folder can be written'):
        AtomicLocalBackend().put(b'x', tmp_path / 'out/iter_1.pth')


def test_other_errors_stay_what_they_are(tmp_path):
    with pytest.raises(AttributeError):
        AtomicLocalBackend().save(lambda: 0, tmp_path / 'a.pth')
    assert os.listdir(tmp_path) == []


MEASURE = """
import sys, threading, time, torch
from mmamp.checkpoint.atomic import AtomicLocalBackend

def resident():
    with open('/proc/self/statm') as file:
        return int(file.read().split()[1]) * 4096

content = dict(w=torch.ones(64 * 2**18))
AtomicLocalBackend().save(dict(w=torch.ones(1)), sys.argv[1])
before = peak = resident()
done = False

def watch():
    global peak
    while not done:
        peak = max(peak, resident())
        time.sleep(0.001)

thread = threading.Thread(target=watch)
thread.start()
AtomicLocalBackend().save(content, sys.argv[1])
done = True
thread.join()
print((peak - before) / 2**20)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_no_second_copy_in_memory(tmp_path):
    """Of 64 MiB."""
    command = [sys.executable, '-c', MEASURE, str(tmp_path / 'a.pth')]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 16


class TestFsync:
    """File systems that can do without, such as some of SMB and FUSE."""

    @pytest.fixture
    def refuse(self, monkeypatch):
        def refusing(is_refused, code):
            def fsync(descriptor):
                if is_refused(os.fstat(descriptor).st_mode):
                    raise OSError(code, os.strerror(code))

            monkeypatch.setattr(os, 'fsync', fsync)
            monkeypatch.setattr(atomic, '_warn_once', atomic.LogOnce().warn)

        return refusing

    @pytest.mark.parametrize('code', [errno.EINVAL, errno.ENOTSUP])
    @pytest.mark.parametrize('kind', [stat.S_ISDIR, stat.S_ISREG])
    def test_refused(self, refuse, kind, code, tmp_path, mm_log):
        refuse(kind, code)
        for content in (b'1', b'2'):
            AtomicLocalBackend().put(content, tmp_path / 'a.pth')
            assert (tmp_path / 'a.pth').read_bytes() == content
        assert mm_log().count('refuses fsync') == 1

    def test_a_broken_disk_is_an_error(self, refuse, tmp_path):
        refuse(stat.S_ISREG, errno.EIO)
        with pytest.raises(StorageError, match='Input/output error'):
            AtomicLocalBackend().put(b'1', tmp_path / 'a.pth')
        assert os.listdir(tmp_path) == []


def held_in(folder, process):
    """Files of a folder that a process has open."""
    links = Path(f'/proc/{process}/fd').iterdir()
    return [x for x in map(os.readlink, links) if str(folder) in x]


def test_a_process_that_is_forked_meanwhile_has_no_part_in_it(tmp_path):
    """A data loader's worker would keep the lock, and the room on the disk."""
    with written_whole(tmp_path / 'a.pth') as file:
        file.write(b'whole')
        worker = multiprocessing.get_context('fork').Process(
            target=time.sleep, args=(60,)
        )
        worker.start()
    try:
        # It lets go of it as the first thing that it does.
        end = time.monotonic() + 30
        while held := held_in(tmp_path, worker.pid):
            assert time.monotonic() < end, held
            time.sleep(0.05)
    finally:
        worker.kill()
        worker.join()
    assert (tmp_path / 'a.pth').read_bytes() == b'whole'
