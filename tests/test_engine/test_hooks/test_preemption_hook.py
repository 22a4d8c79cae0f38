"""The whole of it is in tests/test_integration/test_kill_and_resume.py."""

import os
import signal
import threading

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


def test_outside_of_the_main_thread_it_says_so(build_runner, capfd):
    given = options(at=100)
    given['log_level'] = 'INFO'
    runner = build_runner(options=given)
    thread = threading.Thread(target=runner.train)
    thread.start()
    thread.join()
    assert 'outside of the main thread' in ''.join(capfd.readouterr())
