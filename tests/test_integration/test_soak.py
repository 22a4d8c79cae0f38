"""Runs that are killed, preempted and gone on with on other numbers of ranks.

Outside of CI: ``MMAMP_SOAK=20 python -m pytest -m slow
tests/test_integration/test_soak.py`` does so for 20 minutes.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from processes import is_alive

ROOT = Path(__file__).parents[2]
MINUTES = float(os.environ.get('MMAMP_SOAK', 0))
MODEL = """

@MODELS.register_module()
class Plain(BaseModel):
    def __init__(self):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.body = torch.nn.Linear(64, 10)
        # A FlexibleRunner begins with other random numbers than a Runner.
        for param in self.body.parameters():
            torch.nn.init.zeros_(param)
        # The sum of all batches, from which none is missing, and none twice.
        self.seen = torch.nn.Parameter(torch.zeros(64))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        x = inputs.flatten(1)
        labels = data_samples['gt_label']
        return dict(
            loss=torch.nn.functional.cross_entropy(self.body(x), labels),
            loss_seen=(self.seen * x).sum(1).mean())
"""
CONFIG = """
model = dict(type='mmengine.Plain')
optim_wrapper = dict(
    type='AmpOptimWrapper', dtype='float32', accumulative_counts=3,
    clip_grad=dict(max_norm=1e6),
    # Strictly convex, so that what ranks round otherwise is forgotten.
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=0.1),
    paramwise_cfg=dict(custom_keys=dict(seen=dict(decay_mult=0.0))))
train_cfg = dict(by_epoch=False, max_iters=10**9)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=100),
    checkpoint=dict(
        type='CheckpointHook', interval=50, by_epoch=False, max_keep_ckpts=2))
randomness = dict(seed=0)
"""
BATCH = 8


def start(folder, env, work_dir, ranks, strategy, iters, save_format='pth'):
    args = [
        *('config.py', '--work-dir', work_dir, '--resume', '--cfg-options'),
        f'train_cfg.max_iters={iters}',
        f'train_dataloader.batch_size={BATCH // ranks}',
        f'default_hooks.checkpoint.save_format={save_format}',
    ]
    if strategy and ranks > 1:
        args.append(f'strategy.type={strategy}')
        args.append(f'strategy.shard_size={2 if ranks == 4 else None}')
    command = (
        [env['PYTHON'], '-m', 'mmamp.train', *args]
        if ranks == 1
        else [
            *('bash', str(ROOT / 'tools/dist_train.sh'), args[0]),
            *(str(ranks), *args[1:]),
        ]
    )
    log = (folder / f'{work_dir}.log').open('a')
    return subprocess.Popen(
        command,
        env=env,
        cwd=folder,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )


def reached(folder, work_dir):
    """The iteration of the newest checkpoint."""
    name = folder / work_dir / 'last_checkpoint'
    if not name.exists():
        return 0
    return int(Path(name.read_text()).stem.removeprefix('iter_'))


def processes_of(launcher):
    """Of a session, the launcher aside."""
    parents = {}
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = path.read_text().rpartition(')')[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    found = {launcher}
    for _ in range(4):
        found |= {n for n, parent in parents.items() if parent in found}
    return sorted(found - {launcher})


def wait_until_it_trains(process, log):
    """What is killed before the ranks have met waits for torch's timeout."""
    before = log.read_text().count('Iter(train)')
    end = time.monotonic() + 300
    while log.read_text().count('Iter(train)') == before:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


def disturb(process, what):
    """Whether all of its processes ended by themselves then."""
    others = processes_of(process.pid)
    if what == 'kill':
        os.kill(random.choice(others or [process.pid]), signal.SIGKILL)
    else:
        os.kill(process.pid, what)
    end = time.monotonic() + 60
    while left := [n for n in [*others, process.pid] if is_alive(n)]:
        if time.monotonic() > end:
            for number in left:
                os.kill(number, signal.SIGKILL)
            process.wait()
            return False
        process.poll()
        time.sleep(0.1)
    return True


@pytest.mark.slow
@pytest.mark.ranks
@pytest.mark.timeout(MINUTES * 90 + 600)
@pytest.mark.skipif(not MINUTES, reason='MMAMP_SOAK says how many minutes')
def test_soak(user_project, environment):
    """What comes of it is what an undisturbed run comes to."""
    random.seed(0)
    folder = user_project(MODEL, CONFIG)
    env = environment(folder, PYTHON=sys.executable)
    end = time.monotonic() + 60 * MINUTES
    told = dict.fromkeys(['kill', signal.SIGTERM, signal.SIGUSR1], 0)
    while time.monotonic() < end:
        ranks = random.choice([1, 2, 2, 4])
        strategy = random.choice([None, 'mmamp.FSDP2Strategy'])
        form = random.choice(['pth', 'dcp'])
        process = start(folder, env, 'stopped', ranks, strategy, 10**9, form)
        wait_until_it_trains(process, folder / 'stopped.log')
        time.sleep(random.uniform(0, 30))
        assert process.poll() is None, (folder / 'stopped.log').read_text()
        what = random.choice([*told])
        told[what] += 1
        ended = disturb(process, what)
        print(
            f'{reached(folder, "stopped")}: {ranks} {strategy} {form} {what}'
        )
        assert ended, what
    last = reached(folder, 'stopped') + 10
    assert last > 10
    assert start(folder, env, 'stopped', 2, None, last).wait(300) == 0
    assert start(folder, env, 'whole', 1, None, last).wait(3600) == 0
    whole, stopped = (
        torch.load(folder / x / f'iter_{last}.pth', weights_only=True)
        for x in ('whole', 'stopped')
    )
    print(f'{sum(told.values())} ends ({told}) in {last} iterations')
    whole, stopped = whole['state_dict'], stopped['state_dict']
    for name in ('body.weight', 'body.bias'):
        torch.testing.assert_close(
            stopped[name], whole[name], rtol=1e-3, atol=1e-4
        )
    # A window adds its mean pixel, which is -1 at the border, 1e-3 times and,
    # by the momentum, ten times that in the end.
    torch.testing.assert_close(
        stopped['seen'], whole['seen'], rtol=0, atol=1e-3
    )
