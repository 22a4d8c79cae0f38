"""A long run of a tiny GAN: what it holds and takes stays what it was."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROJECT = '''
import gc, json, os, time
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, METRICS, MODELS
from torch import nn
from torch.utils.data import Dataset
from mmengine.registry import DATASETS

@MODELS.register_module()
class TinyGenerator(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.norm = nn.Linear(2, 4), nn.BatchNorm1d(4)

    def forward(self, noise):
        return self.norm(self.linear(noise)).view(-1, 1, 2, 2)

@MODELS.register_module()
class TinyDiscriminator(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Flatten(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)
        )

@DATASETS.register_module()
class Pictures(Dataset):
    def __init__(self, number):
        self.number = number

    def __len__(self):
        return self.number

    def __getitem__(self, i):
        # One in a while has no finite gradient.
        value = float('inf') if i == 2000 else float(i % 256)
        return dict(inputs=torch.full((1, 2, 2), value))

@METRICS.register_module()
class Slope(BaseMetric):
    """Asks for gradients without a backward pass."""

    def process(self, data_batch, data_samples):
        runner = Watch.runner
        wrapper = runner.optim_wrapper['discriminator']
        x = torch.ones(2, 1, 2, 2, requires_grad=True)
        with torch.enable_grad(), wrapper.optim_context(runner.model):
            (slope,) = wrapper.grad(runner.model.discriminator(x).sum(), x)
        self.results.append(float(slope.sum()))

    def compute_metrics(self, results):
        return dict(slope=sum(results))

@HOOKS.register_module()
class Watch(Hook):
    """Writes down what there is, and how long iterations take."""

    def before_train(self, runner):
        Watch.runner = runner
        self.times, self.found = [], []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.began = time.thread_time()

    def after_train_iter(
        self, runner, batch_idx, data_batch=None, outputs=None
    ):
        self.times.append(time.thread_time() - self.began)
        if (runner.iter + 1) % 1000:
            return
        gc.collect()
        with open('/proc/self/statm') as file:
            pages = int(file.read().split()[1])
        objects = gc.get_objects()
        self.found.append(
            dict(
                objects=len(objects),
                tensors=sum(isinstance(x, torch.Tensor) for x in objects),
                resident=pages * os.sysconf('SC_PAGE_SIZE') / 2**20,
                ms=1000 * sorted(self.times)[len(self.times) // 2],
            )
        )
        self.times.clear()
        with open(os.path.join(runner.work_dir, 'found.json'), 'w') as file:
            json.dump(self.found, file)
'''

CONFIG = """
custom_imports = dict(imports=['mmamp', 'project'])
default_scope = 'mmamp'
model = dict(
    type='ImageGAN',
    noise_size=2,
    generator=dict(type='TinyGenerator'),
    discriminator=dict(type='TinyDiscriminator'),
    ema_config=dict(momentum=0.01),
    disc_regularizers=[
        dict(type='R1', weight=1.0, interval=4),
        dict(type='WGANGP', weight=1.0, interval=4),
    ],
)
entry = dict(
    type='AmpOptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4),
    clip_grad=dict(max_norm=1.0),
    dtype='{dtype}',
)
optim_wrapper = dict(
    constructor='OptimWrapperConstructor', generator=entry, discriminator=entry
)
train_cfg = dict(by_epoch=False, max_iters={iters}, val_interval=500)
loader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(type='Pictures', number=4096),
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
)
train_dataloader = loader
val_dataloader = dict(
    loader,
    dataset=dict(type='Pictures', number=16),
    sampler=dict(type='DefaultSampler', shuffle=False),
)
val_cfg = dict()
val_evaluator = dict(type='Slope')
default_hooks = dict(
    checkpoint=dict(
        type='CheckpointHook', by_epoch=False, interval=1000, max_keep_ckpts=1
    ),
    logger=dict(type='LoggerHook', interval=100),
)
custom_hooks = [dict(type='Watch')]
log_processor = dict(by_epoch=False)
"""


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ('dtype', 'iters'),
    # What has a loss scale has all that the others have.
    [('float16', 4_000), ('bfloat16', 3_000), ('float32', 3_000)],
)
def test_nothing_grows(dtype, iters, tmp_path, environment):
    """The last thousand iterations are as the second thousand was."""
    iters = int(os.environ.get('MMAMP_ITERATIONS', iters))
    (tmp_path / 'project.py').write_text(PROJECT)
    config = CONFIG.replace('{dtype}', dtype).replace('{iters}', str(iters))
    (tmp_path / 'config.py').write_text(config)
    done = subprocess.run(
        [
            sys.executable,
            '-m',
            'mmamp.train',
            'config.py',
            '--work-dir',
            'run',
        ],
        cwd=tmp_path,
        env=environment(tmp_path, OMP_NUM_THREADS='1'),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    found = json.loads((tmp_path / 'run/found.json').read_text())
    print(*found, sep='\n')
    early, late = found[1], found[-1]
    assert late['tensors'] <= early['tensors']
    assert late['objects'] <= early['objects'] + 100
    assert late['resident'] <= early['resident'] + 4
    # An iteration of which work grows takes many times as long by now.
    assert late['ms'] <= 1.5 * early['ms']
