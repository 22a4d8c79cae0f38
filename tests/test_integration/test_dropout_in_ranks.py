"""Ranks drop other values out, and go on with the same ones when resumed."""

import subprocess

import pytest

pytestmark = pytest.mark.ranks

MODEL = """
from mmengine.dist import get_rank
from torch import nn

@MODELS.register_module()
class Net(BaseModel):
    def __init__(self):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.layer, self.dropout = nn.Linear(64, 10), nn.Dropout(0.5)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        kept = self.dropout(torch.ones(32))
        with open(f'kept{get_rank()}.txt', 'a') as file:
            print(*kept.int().tolist(), file=file)
        outputs = self.layer(inputs.flatten(1)).square().mean()
        return dict(loss=outputs * kept.mean())
"""
CONFIG = """
model = dict(type='mmengine.Net')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
train_cfg = dict(by_epoch=False, max_iters=6)
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', interval=3, by_epoch=False))
randomness = dict(seed=0)
"""


@pytest.fixture
def kept(user_project, environment, python):
    """``kept(...)``: what each of two ranks has kept in each iteration."""
    folder = user_project(MODEL, CONFIG)

    def run(*args):
        files = [folder / f'kept{rank}.txt' for rank in range(2)]
        for file in files:
            file.unlink(missing_ok=True)
        launch = ['torch.distributed.run', '--standalone', '--nproc-per-node']
        done = subprocess.run(
            [
                *(python, '-m', *launch, '2', '-m', 'mmamp.train'),
                *('config.py', '--launcher', 'pytorch', *args),
            ],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert 'Each of 2 ranks draws random numbers of its own' in done.stdout
        return [file.read_text().splitlines() for file in files]

    return run


def test_ranks_differ_and_a_resumed_run_does_not(kept):
    first, second = kept('--work-dir', 'a')
    assert len(first) == len(set(first + second)) / 2 == 6
    resumed = kept('--work-dir', 'b', '--resume', 'a/iter_3.pth')
    assert resumed == [first[3:], second[3:]]
