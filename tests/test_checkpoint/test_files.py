import logging
import os
import signal
import threading
import time
from contextlib import suppress

import pytest
import torch

from mmamp.checkpoint.atomic import AtomicLocalBackend
from mmamp.checkpoint.files import AsyncFiles, Files
from mmamp.errors import StorageError


@pytest.fixture
def backend():
    return AtomicLocalBackend()


@pytest.mark.parametrize('kind', [Files, AsyncFiles])
def test_all_is_done_in_order(kind, tmp_path, backend):
    files, seen = kind(), []
    with files.together():
        files.write(dict(a=1), str(tmp_path / 'a.pth'), backend)
        files.then(lambda: seen.append(os.listdir(tmp_path)))
        with files.together():
            files.write(dict(b=2), str(tmp_path / 'b.pth'), backend)
        files.then(os.remove, tmp_path / 'a.pth')
    files.wait()
    assert seen == [['a.pth']]
    assert os.listdir(tmp_path) == ['b.pth']
    assert torch.load(tmp_path / 'b.pth', weights_only=True) == dict(b=2)


def test_training_goes_on_meanwhile(tmp_path, backend):
    """And changes what is being written, but not in the file."""
    files, weight = AsyncFiles(), torch.ones(3)
    may_write = threading.Event()
    with files.together():
        files.then(may_write.wait)
        files.write(dict(w=weight), str(tmp_path / 'a.pth'), backend)
    assert threading.active_count() > 1
    weight.zero_()
    assert os.listdir(tmp_path) == []
    may_write.set()
    files.wait()
    assert torch.load(tmp_path / 'a.pth')['w'].tolist() == [1, 1, 1]


def test_one_waits_for_the_other_and_says_so_once(mm_log):
    files, seen = AsyncFiles(), []
    for i in range(4):
        with files.together():
            assert seen == list(range(i))
            files.then(time.sleep, 0.1)
            files.then(seen.append, i)
    files.wait()
    assert seen == [0, 1, 2, 3]
    assert mm_log().count('Training has waited 0.1 s') == 1
    assert mm_log().count('Waiting for the checkpoint') == 1


def test_what_goes_wrong_is_told_and_ends_the_rest(tmp_path, backend, mm_log):
    (tmp_path / 'file').touch()
    files, seen = AsyncFiles(), []
    with files.together():
        files.write({}, str(tmp_path / 'file/a.pth'), backend)
        files.then(seen.append, 'after')
    while 'Beside training, StorageError' not in mm_log(logging.ERROR):
        time.sleep(0.01)
    with pytest.raises(StorageError, match='could not be written: File exi'):
        files.check()
    files.check()
    files.wait()
    assert seen == []


def test_what_goes_wrong_inside_leaves_nothing_to_do(tmp_path, backend):
    files = AsyncFiles()
    with suppress(ZeroDivisionError), files.together():
        files.write({}, str(tmp_path / 'a.pth'), backend)
        raise ZeroDivisionError
    with files.together():
        files.write({}, str(tmp_path / 'b.pth'), backend)
    files.wait()
    assert os.listdir(tmp_path) == ['b.pth']


def test_ctrl_c_while_it_waits_breaks_off_nothing():
    """Whoever waits again, does; Python before 3.13 calls the thread dead."""
    files, go = AsyncFiles(), threading.Event()
    with files.together():
        files.then(go.wait)
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        files.wait()
    threading.Timer(0.2, go.set).start()
    files.wait()
    assert go.is_set()
