"""Checkpoints that are being written when a run ends, in real processes."""

import os
import random
import re
import signal
import subprocess
import time

import pytest
import torch
from has_fsdp2 import HAS_FSDP2, WHY

MODEL = """
import os
import time
from pathlib import Path
from mmengine.dist import get_rank
from mmengine.fileio import BaseStorageBackend, register_backend
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmamp.checkpoint.atomic import AtomicLocalBackend

FOLDER = Path(__file__).parent

@register_backend('slow', prefixes='slow', force=True)
class Slow(BaseStorageBackend):
    '''A store that takes until the file `go` is there.'''

    disk = AtomicLocalBackend()

    def _path(self, path):
        return FOLDER / str(path).partition('://')[2]

    def put(self, obj, filepath):
        if FOLDER.joinpath('fails').exists():
            raise ConnectionError('the store is gone')
        FOLDER.joinpath('began').touch()
        while not FOLDER.joinpath('go').exists():
            time.sleep(0.01)
        self.disk.put(obj, self._path(filepath))

    def get(self, filepath):
        return self.disk.get(self._path(filepath))

    def get_text(self, filepath, encoding='utf-8'):
        return self.get(filepath).decode(encoding)

    def isfile(self, filepath):
        return self.disk.isfile(self._path(filepath))

    def isdir(self, filepath):
        return self.disk.isdir(self._path(filepath))

    def remove(self, filepath):
        return self.disk.remove(self._path(filepath))

    def join_path(self, filepath, *filepaths):
        return '/'.join([str(filepath), *filepaths])

@HOOKS.register_module()
class Meanwhile(Hook):
    '''Does something once the first checkpoint is being written.'''

    def __init__(self, what):
        self.what = what

    def after_train_iter(self, runner, *_, **__):
        if runner.iter < 4:
            return
        if self.what == 'fail':
            raise RuntimeError('something else')
        if self.what == 'pass' and get_rank():
            FOLDER.joinpath('go').touch()

@MODELS.register_module()
class Plain(BaseModel):
    def __init__(self, size=4):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.body = torch.nn.Linear(64, size)
        self.dropout = torch.nn.Dropout(0.5)
        self.layer = torch.nn.Linear(size, 10)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        x = self.dropout(self.body(inputs.flatten(1)))
        labels = data_samples['gt_label']
        loss = torch.nn.functional.cross_entropy(self.layer(x), labels)
        return dict(loss=loss)
"""
CONFIG = """
model = dict(type='mmengine.Plain')
optim_wrapper = dict(
    type='AmpOptimWrapper', accumulative_counts=3,
    optimizer=dict(type='Adam', lr=1e-3))
train_cfg = dict(by_epoch=False, max_iters=8)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(
        type='CheckpointHook', interval=2, by_epoch=False, max_keep_ckpts=1,
        async_save=True))
randomness = dict(seed=0)
"""
KILLS = int(os.environ.get('MMAMP_KILLS', 5))
SLOW = ('default_hooks.checkpoint.out_dir=slow://store',)


@pytest.fixture
def start(user_project, environment, python):
    """``start(options, num=2)``: a run, of so many processes."""
    folder = user_project(MODEL, CONFIG)

    def run(*options, num=1, args=(), work_dir='run'):
        launch = (
            *('-m', 'torch.distributed.run', '--standalone'),
            f'--nproc-per-node={num}',
        )
        return subprocess.Popen(
            [
                python,
                *(launch if num > 1 else ()),
                *('-m', 'mmamp.train', 'config.py', '--work-dir', work_dir),
                *('--launcher', 'pytorch' if num > 1 else 'none', *args),
                *('--cfg-options', *options),
            ],
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    run.folder = folder
    return run


def until_it_is_being_written(start, process):
    """And training has gone on meanwhile."""
    out = ''
    while not re.search(r'Iter\(train\) \[ *4/', out):
        line = process.stdout.readline()
        assert line, out
        out += line
    assert (start.folder / 'began').exists()
    assert not (start.folder / 'run/last_checkpoint').exists()


def assert_whole(start, iteration):
    """The newest one is whole, and named."""
    name = f'store/run/iter_{iteration}.pth'
    content = torch.load(start.folder / name, weights_only=True)
    assert content['meta']['iter'] == iteration
    last = (start.folder / 'run/last_checkpoint').read_text()
    assert last == f'slow://{name}'


def finish(process):
    out = process.communicate(timeout=200)[0]
    return process.returncode, out


def test_the_end_waits(start):
    (start.folder / 'go').touch()
    code, out = finish(start(*SLOW))
    assert code == 0, out
    assert_whole(start, 8)
    # The one before went, after it.
    assert os.listdir(start.folder / 'store/run') == ['iter_8.pth']


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_wait(start, number):
    """The first one is told the checkpoint, the other one saves its own."""
    process = start(*SLOW, 'train_cfg.max_iters=100000', 'model.size=8')
    until_it_is_being_written(start, process)
    process.send_signal(number)
    time.sleep(1)
    assert process.poll() is None
    (start.folder / 'go').touch()
    code, out = finish(process)
    last = out.strip().splitlines()[-1]
    if number == signal.SIGINT:
        assert code == 130, out
        assert 'Waiting for the checkpoint that is being written' in out
        assert_whole(start, 2)
        assert 'Go on from slow://store/run/iter_2.pth with: ' in last
    else:
        assert code == 0, out
        assert 'Training has waited' in out
        (saved,) = (start.folder / 'store/run').iterdir()
        assert f'Saved slow://store/run/{saved.name}. Go on with: ' in last
        assert_whole(start, int(saved.stem.partition('_')[2]))


def test_an_error_waits(start):
    config = start.folder / 'config.py'
    config.write_text(
        config.read_text()
        + "custom_hooks = [dict(type='mmengine.Meanwhile', what='fail')]\n"
    )
    process = start(*SLOW, 'default_hooks.checkpoint.interval=3')
    time.sleep(1)
    (start.folder / 'go').touch()
    code, out = finish(process)
    assert code == 1, out
    assert 'RuntimeError: something else' in out
    assert 'The run ended. Go on from slow://store/run/iter_3.pth' in out
    assert_whole(start, 3)


def test_a_store_that_is_gone_ends_the_run(start):
    """In the words of a checkpoint that training waits for."""
    (start.folder / 'fails').touch()
    said = []
    for options in ((), ('default_hooks.checkpoint.async_save=False',)):
        code, out = finish(start(*SLOW, 'train_cfg.max_iters=1000', *options))
        assert code == 2, out
        assert 'Iter(train) [  50/' not in out
        # But for where the log is.
        said.append(out.strip().splitlines()[-1].partition(' (more')[0])
    assert said[0] == said[1]
    assert "iter_2.pth' could not be written: ConnectionError" in said[0]


@pytest.mark.ranks
@pytest.mark.parametrize('strategy', ['DDPStrategy', 'FSDP2Strategy'])
def test_ranks_train_while_one_writes(start, strategy):
    """The checkpoint is only written once the other one has trained on."""
    if strategy == 'FSDP2Strategy' and not HAS_FSDP2:
        pytest.skip(WHY)
    config = start.folder / 'config.py'
    config.write_text(
        config.read_text()
        + "custom_hooks = [dict(type='mmengine.Meanwhile', what='pass')]\n"
    )
    more = (f'strategy.type={strategy}', 'train_cfg.max_iters=6')
    interval = 'default_hooks.checkpoint.interval=4'
    code, out = finish(start(*SLOW, *more, interval, num=2))
    assert code == 0, out
    assert_whole(start, 6)


@pytest.mark.slow
def test_killed_while_it_writes(start):
    """Each time a whole checkpoint is there, and named."""
    random.seed(0)
    options = (
        'model.size=20000',
        'default_hooks.checkpoint.interval=1',
        'train_cfg.max_iters=60',
    )
    code, out = finish(start(*options, work_dir='reference'))
    assert code == 0, out
    run, left = start.folder / 'run', 0
    for _ in range(KILLS):
        process = start(*options, args=['--resume'])
        for _ in range(4):
            while 'Saving checkpoint at' not in (
                x := process.stdout.readline()
            ):
                assert x, 'the run has ended'
        time.sleep(random.uniform(0, 0.2))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        path = start.folder / (run / 'last_checkpoint').read_text()
        torch.load(path, weights_only=True)
        left += bool(list(run.glob('.*.tmp')))
    assert left
    code, out = finish(start(*options, args=['--resume']))
    assert code == 0, out
    assert [x.name for x in run.glob('*.pth')] == ['iter_60.pth']
    assert not list(run.glob('.*.tmp'))
    ours, theirs = (
        torch.load(start.folder / x / 'iter_60.pth', weights_only=True)
        for x in ('run', 'reference')
    )
    for name, value in theirs['state_dict'].items():
        assert torch.equal(ours['state_dict'][name], value), name
