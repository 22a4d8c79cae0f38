"""Two ranks, one of which gets the scheduler's signal."""

import os
import re
import signal
import subprocess
import sys

import pytest
import torch
from processes import is_alive

pytestmark = pytest.mark.ranks

MODEL = """

@MODELS.register_module()
class Plain(BaseModel):
    def __init__(self):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.layer = torch.nn.Linear(64, 10)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        logits = self.layer(self.dropout(inputs.flatten(1)))
        labels = data_samples['gt_label']
        return dict(loss=torch.nn.functional.cross_entropy(logits, labels))
"""
CONFIG = """
model = dict(type='mmengine.Plain')
optim_wrapper = dict(
    type='AmpOptimWrapper', accumulative_counts=3,
    optimizer=dict(type='Adam', lr=1e-3))
train_cfg = dict(by_epoch=False, max_iters=2000)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=20),
    checkpoint=dict(type='CheckpointHook', interval=10000, by_epoch=False))
env_cfg = dict(dist_cfg=dict(backend='gloo'))
randomness = dict(seed=0, diff_rank_seed=True)
"""


def start(folder, env, work_dir, *args, command=('-m', 'mmamp.train')):
    return subprocess.Popen(
        [
            env['PYTHON'],
            *('-m', 'torch.distributed.run', '--nproc-per-node=2'),
            f'--master-port={29500 + os.getpid() % 1000}',
            *(*command, str(folder / 'config.py')),
            *('--launcher', 'pytorch', '--work-dir', str(folder / work_dir)),
            *args,
        ],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    out = process.communicate(timeout=200)[0]
    assert process.returncode == 0, out
    return out


@pytest.mark.slow
def test_all_ranks_leave_together_and_go_on_exactly(
    user_project, environment, process_of_rank
):
    folder = user_project(MODEL, CONFIG)
    # Ranks are found by whose children they are.
    env = environment(folder, PYTHON=sys.executable)
    finish(start(folder, env, 'whole'))
    process = start(folder, env, 'stopped')
    while 'Iter(train) [  40/2000]' not in (line := process.stdout.readline()):
        assert line, 'the run has ended'
    os.kill(process_of_rank(process.pid, 1), signal.SIGTERM)
    out = finish(process)
    assert re.search(r'saved .*iter_\d+\.pth after iteration', out)
    (saved,) = (folder / 'stopped').glob('iter_*.pth')
    state = torch.load(saved, weights_only=True)
    assert state['meta']['iter'] < 2000
    first, second = state['rng_states']
    assert not torch.equal(first['torch'], second['torch'])

    finish(start(folder, env, 'stopped', '--resume'))
    whole, stopped = (
        torch.load(folder / x / 'iter_2000.pth', weights_only=True)
        for x in ('whole', 'stopped')
    )
    for name, value in whole['state_dict'].items():
        assert torch.equal(stopped['state_dict'][name], value), name


@pytest.mark.slow
def test_ranks_of_a_killed_torchrun_save_and_end(
    user_project, environment, process_of_rank
):
    """They trained on, beside the run that took their place."""
    folder = user_project(MODEL, CONFIG.replace('2000', '10**9'))
    env = environment(folder, PYTHON=sys.executable)
    process = start(folder, env, 'stopped')
    while 'Iter(train) [        40/' not in (
        line := process.stdout.readline()
    ):
        assert line, 'the run has ended'
    ranks = [process_of_rank(process.pid, i) for i in range(2)]
    process.kill()
    # The ranks have the pipe as well: it ends with them.
    out = process.communicate(timeout=100)[0]
    assert re.search(r'torchrun has gone: saved .*iter_\d+\.pth', out)
    assert not any(map(is_alive, ranks))
    (saved,) = (folder / 'stopped').glob('iter_*.pth')
    assert torch.load(saved, weights_only=True)['meta']['iter'] >= 40


LEFT = r"""
import glob
import os
import sys
from pathlib import Path

from mmamp.train import main

code = main(sys.argv[1:])
tasks = glob.glob('/proc/self/task/*/comm')
threads = [Path(task).read_text() for task in tasks]
left = sum('gloo' in name for name in threads)
os.write(1, f'GLOO {left} left\n'.encode())
sys.exit(code)
"""
ASKED = """
custom_hooks = [dict(type='Asked')]
"""
ASKS = """

import os, signal
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class Asked(Hook):
    def after_train_iter(self, runner, *args, **kwargs):
        if runner.iter == 4 and os.environ['RANK'] == '1':
            signal.raise_signal(signal.SIGTERM)
"""


@pytest.mark.slow
@pytest.mark.parametrize('asked', [False, True])
def test_no_thread_outlives_the_run(user_project, environment, asked):
    """One that frees a tensor while Python ends aborts the process."""
    folder = user_project(
        MODEL + ASKS * asked,
        CONFIG.replace('2000', '20') + ASKED * asked,
    )
    script = folder / 'main.py'
    script.write_text(LEFT)
    env = environment(folder, PYTHON=sys.executable)
    out = finish(start(folder, env, 'run', command=[str(script)]))
    assert ('Got SIGTERM' in out) == asked
    assert out.count('GLOO 0 left') == 2
