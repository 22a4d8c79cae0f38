"""Two ranks, one of which gets the scheduler's signal."""

import os
import re
import signal
import subprocess
import sys

import pytest
import torch

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


def start(folder, env, work_dir, *args):
    return subprocess.Popen(
        [
            env['PYTHON'],
            *('-m', 'torch.distributed.run', '--nproc-per-node=2'),
            f'--master-port={29500 + os.getpid() % 1000}',
            *('-m', 'mmamp.train', str(folder / 'config.py')),
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
