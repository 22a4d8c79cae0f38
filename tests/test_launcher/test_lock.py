"""Two runs in one work dir: real processes, ended in real ways."""

import errno
import fcntl
import json
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from argparse import Namespace

import pytest
from mmengine.config import Config
from processes import is_alive

from mmamp.errors import UsageError
from mmamp.launcher import lock
from mmamp.launcher.lock import FILE, WorkDirLock

HOLD = """
import os, sys, time
from argparse import Namespace
from mmengine.config import Config
from mmamp.launcher.lock import WorkDirLock
with WorkDirLock() as lock:
    cfg = Config(dict(work_dir=sys.argv[1], launcher='none'))
    lock.take(cfg, Namespace(resume=None))
    if 'worker' in sys.argv and not (child := os.fork()):
        os.close(1)
        time.sleep(60)
    print(child if 'worker' in sys.argv else 0, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that has the lock of ``tmp_path``, and its worker's pid."""
    processes = []

    def holder(*args):
        command = [sys.executable, '-c', HOLD, str(tmp_path), *args]
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process = subprocess.Popen(command, **pipes)
        processes.append(process)
        return process, int(process.stdout.readline())

    yield holder
    for process in processes:
        process.kill()
        process.communicate()


NEW = Namespace(resume=None)


def config(work_dir, launcher='none'):
    return Config(dict(work_dir=str(work_dir), launcher=launcher))


def take(work_dir, resume=None):
    with WorkDirLock() as held:
        held.take(config(work_dir), Namespace(resume=resume))
        return json.loads((work_dir / FILE).read_text())


def test_it_tells_who_has_it(tmp_path):
    found = take(tmp_path / 'new')
    assert (found['pid'], found['host']) == (os.getpid(), socket.gethostname())
    # Nothing is left to judge.
    assert (tmp_path / 'new' / FILE).read_text() == ''
    take(tmp_path / 'new')


def test_a_second_run_is_refused(tmp_path, holder):
    process, _ = holder()
    with pytest.raises(UsageError) as refusal:
        take(tmp_path)
    text = str(refusal.value)
    where = f'process {process.pid} on {socket.gethostname()} since 2'
    assert f'work dir {str(tmp_path)!r} is in use by {where}' in text
    assert '--work-dir' in text
    # The first one has it still, whatever the second has done.
    with pytest.raises(UsageError, match=where):
        take(tmp_path)
    process.communicate()
    take(tmp_path)


def test_a_resumed_run_waits_for_the_one_before_it(tmp_path, holder, mm_log):
    process, _ = holder()
    threading.Timer(1, process.terminate).start()
    take(tmp_path, resume='auto')
    log = mm_log(logging.INFO)
    assert log.count('The work dir is in use by process') == 1
    assert 'waiting for it, up to 60 s' in log


def test_a_resumed_run_does_not_wait_for_ever(tmp_path, holder, monkeypatch):
    monkeypatch.setattr(lock, 'PATIENCE', 0.5)
    holder()
    with pytest.raises(UsageError, match='is in use by process'):
        take(tmp_path, resume='auto')


def test_a_killed_run_holds_nothing(tmp_path, holder, mm_log):
    """Nor does a worker of it that has not noticed yet."""
    process, worker = holder('worker')
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert is_alive(worker)
    try:
        take(tmp_path)
    finally:
        os.kill(worker, signal.SIGKILL)
    log = mm_log()
    assert f'process {process.pid} on ' in log
    assert 'was ended at once; its lock is taken over' in log
    assert mm_log(logging.WARNING) == ''


def test_one_of_another_machine(tmp_path, mm_log):
    """Of a file system that does not share its locks nobody could know."""
    before = dict(pid=1, host='node-7', since='2026-01-02 03:04:05')
    (tmp_path / FILE).write_text(json.dumps(before))
    take(tmp_path)
    log = mm_log(logging.WARNING)
    assert 'process 1 on node-7 since 2026-01-02 03:04:05' in log
    assert 'end one of the two' in log


@pytest.mark.parametrize('text', ['{"pid": ', '[1]', ''])
def test_a_file_that_says_nothing(tmp_path, mm_log, text):
    (tmp_path / FILE).write_text(text)
    take(tmp_path)
    assert mm_log() == ''


def test_the_first_of_several_ranks_has_it(tmp_path, holder, monkeypatch):
    holder()
    monkeypatch.setenv('RANK', '1')
    with WorkDirLock() as lock:
        lock.take(config(tmp_path, 'pytorch'), NEW)
        monkeypatch.setenv('RANK', '0')
        with pytest.raises(UsageError, match='is in use'):
            lock.take(config(tmp_path, 'pytorch'), NEW)


def test_a_file_system_without_locks(tmp_path, monkeypatch, mm_log):
    def lockf(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, 'lockf', lockf)
    with WorkDirLock() as lock:
        lock.take(config(tmp_path), NEW)
    log = mm_log(logging.WARNING)
    assert 'No locks available' in log
    assert 'would not be noticed' in log


def test_a_lock_that_cannot_be_opened(tmp_path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(UsageError, match=r"run.lock', the lock of the work"):
        take(tmp_path)
    assert stat.S_ISDIR((tmp_path / FILE).stat().st_mode)
