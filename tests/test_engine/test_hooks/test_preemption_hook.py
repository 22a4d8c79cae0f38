"""The whole of it is in tests/test_integration/test_kill_and_resume.py."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from mmengine.hooks import Hook

from mmamp.errors import Preempted
from mmamp.registry import HOOKS


@HOOKS.register_module(force=True)
class SignalHook(Hook):
    """Sends this very process a signal in the middle of an iteration."""

    def __init__(self, number, at):
        self.number, self.at = number, at

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if batch_idx == self.at:
            os.kill(os.getpid(), self.number)


def options(number=signal.SIGTERM, at=2):
    return {
        'custom_hooks': [
            dict(type='PreemptionHook'),
            dict(type='SignalHook', number=int(number), at=at),
        ],
        'default_hooks.checkpoint.interval': 100,
        'train_cfg.max_iters': 8,
    }


@pytest.fixture(autouse=True)
def _handlers():
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1)]
    yield
    now = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1)]
    assert now == before


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1])
def test_saves_after_the_iteration_and_leaves(build_runner, number):
    runner = build_runner(options=options(number))
    with pytest.raises(Preempted) as preempted:
        runner.train()
    assert preempted.value.code == 0
    path = os.path.join(runner.work_dir, 'iter_3.pth')
    assert preempted.value.checkpoint == path
    assert os.path.isfile(path)
    with open(os.path.join(runner.work_dir, 'last_checkpoint')) as file:
        assert file.read() == path


def test_with_mmengines_own_checkpoint_hook(build_runner):
    given = options()
    given['default_hooks.checkpoint.type'] = 'mmengine.CheckpointHook'
    runner = build_runner(options=given)
    with pytest.raises(Preempted):
        runner.train()
    with open(os.path.join(runner.work_dir, 'last_checkpoint')) as file:
        assert os.path.isfile(file.read())


def test_a_run_that_is_over_anyway_ends_as_ever(build_runner):
    runner = build_runner(options=options(at=7))
    runner.train()
    assert runner.iter == 8


RUN = """
import os, signal, sys, time, tempfile
import torch
from torch import distributed, nn
from torch.utils.data import Dataset
from mmengine.model import BaseModel
from mmengine.runner import Runner
import mmamp

class Data(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, i):
        return dict(inputs=torch.ones(2))

class Net(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs, mode='loss'):
        print('in it', flush=True)
        {body}
        return dict(loss=self.layer(torch.stack(inputs)).mean())

def train():
    runner = Runner(
        model=Net(), work_dir=tempfile.mkdtemp(), log_level='ERROR',
        experiment_name=str(time.time()),
        train_dataloader=dict(
            batch_size=4, num_workers=0, dataset=Data(),
            collate_fn=dict(type='pseudo_collate'),
            sampler=dict(type='InfiniteSampler')),
        train_cfg=dict(by_epoch=False, max_iters=3),
        optim_wrapper=dict(
            type='mmamp.AmpOptimWrapper',
            optimizer=dict(type='SGD', lr=0.1)),
        custom_hooks=[dict(type='mmamp.PreemptionHook')])
    runner.train()

{after}
"""


@pytest.fixture
def started(tmp_path):
    """A process that trains, and is within its first iteration."""
    processes = []

    def start(body='pass', after='train()'):
        process = subprocess.Popen(
            [sys.executable, '-c', RUN.format(body=body, after=after)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
            env={**os.environ, 'PYTHONPATH': str(Path.cwd())},
        )
        processes.append(process)
        while 'in it' not in (line := process.stdout.readline()):
            assert line, 'it has ended'
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


STUCK = {
    'in Python': 'while True: time.sleep(0.01)',
    'in a lock': '__import__("threading").Lock().acquire(); '
    'lock = __import__("threading").Lock(); lock.acquire(); lock.acquire()',
    # A rank that never comes.
    'in a library': 'distributed.TCPStore('
    '"127.0.0.1", 0, 2, is_master=True, wait_for_workers=False).get("never")',
}


@pytest.mark.parametrize(
    ('where', 'number'),
    zip(STUCK, [signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM], strict=True),
)
def test_an_iteration_that_hangs_can_be_ended(started, where, number):
    process = started(STUCK[where])
    time.sleep(0.5)
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1)
    process.send_signal(number)
    process.wait(5)
    assert process.returncode in (-number, 128 + number)
    if where == 'in a library':
        assert 'while nothing moves' in process.stdout.read()


def test_the_same_signal_from_two_senders_is_one(started):
    """From a scheduler, and from torchrun, which it sent it to as well."""
    process = started('time.sleep(1)')
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    process.wait(20)
    assert process.returncode == 0, process.stdout.read()


RAISED = """
try:
    train()
except RuntimeError:
    print('in it again', flush=True)
{then}
time.sleep(30)
"""


def test_after_a_training_that_raised(started):
    body = 'raise RuntimeError("out of memory")'
    process = started(body, RAISED.format(then=''))
    process.stdout.readline()
    process.send_signal(signal.SIGUSR1)
    assert process.wait(5) == -signal.SIGUSR1


def test_after_two_of_them_the_users_own_handler(started):
    """Which was there before, and is there again."""
    then = """
try:
    train()
except RuntimeError:
    print('in it again', flush=True)
"""
    own = 'signal.signal(signal.SIGTERM, lambda *_: os._exit(77))'
    body = 'raise RuntimeError("out of memory")'
    process = started(body, own + RAISED.format(then=then))
    for _ in range(3):
        process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(5) == 77


def test_a_process_that_a_step_forks_does_not_listen(started):
    """It would take what is sent to it for a signal to the run."""
    body = (
        'child = os.fork() or time.sleep(60); '
        'time.sleep(0.3); '
        'os.kill(child, signal.SIGTERM); '
        'print("ended by", os.waitpid(child, 0)[1], flush=True)'
    )
    process = started(body)
    out = process.communicate(timeout=20)[0]
    assert out.count(f'ended by {int(signal.SIGTERM)}') == 3
    assert process.returncode == 0


def test_outside_of_the_main_thread_it_says_so(build_runner, capfd):
    given = options(at=100)
    given['log_level'] = 'INFO'
    runner = build_runner(options=given)
    thread = threading.Thread(target=runner.train)
    thread.start()
    thread.join()
    assert 'outside of the main thread' in ''.join(capfd.readouterr())
