"""A run that is killed again and again ends where an undisturbed one does."""

import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
from differences import differences

ROOT = Path(__file__).parents[2]
BIGGAN = ROOT / 'configs/biggan/biggan_digits-32x32.py'
# CI's are a sample; CONTRIBUTING.md tells how many a release takes.
KILLS = int(os.environ.get('MMAMP_KILLS', 5))
CONFIG = f"""
_base_ = {str(BIGGAN)!r}
# A checkpoint interval that is coprime with the windows of 8: most
# checkpoints lie inside of a window.
train_cfg = dict(max_iters=72)
model = dict(
    discriminator_steps=2,
    generator=dict(base_channels=2),
    discriminator=dict(base_channels=2),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=NUM_WORKERS,
    persistent_workers=NUM_WORKERS > 0,
    dataset=dict(
        pipeline=[
            dict(type='Resize', scale=(32, 32)),
            dict(type='RandomFlip', prob=0.5),
            dict(type='PackImage'),
        ]
    ),
)
default_hooks = dict(
    logger=dict(interval=10),
    checkpoint=dict(
        interval=5, max_keep_ckpts=1, save_best=None, async_save=ASYNC_SAVE
    ),
)
custom_hooks = []
val_dataloader = None
val_cfg = None
val_evaluator = None
randomness = dict(seed=0)
"""


def write_config(folder, num_workers, async_save=False):
    path = Path(folder, 'biggan.py')
    text = CONFIG.replace('NUM_WORKERS', str(num_workers))
    path.write_text(text.replace('ASYNC_SAVE', str(async_save)))
    return path


@pytest.fixture
def start(python):
    """``start(config, work_dir, ...)``: a process that trains."""

    def start(config, work_dir, *args):
        return subprocess.Popen(
            [
                *(python, '-m', 'mmamp.train', str(config)),
                *('--work-dir', str(work_dir)),
                *('--amp', '--amp-dtype', 'float16', *args),
            ],
            env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1'),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A kill takes the workers too.
            start_new_session=True,
        )

    return start


def finish(process):
    out = process.communicate(timeout=120)[0]
    assert process.returncode == 0, out
    return out


def final_state(work_dir, iteration):
    path = Path(work_dir, f'iter_{iteration}.pth')
    return torch.load(path, weights_only=True, map_location='cpu')


def assert_same_end(work_dir, reference, iteration=72):
    ours, theirs = (final_state(x, iteration) for x in (work_dir, reference))
    for part in ('state_dict', 'optimizer', 'rng_states'):
        assert differences(ours[part], theirs[part], part) == []


def kill_at_random(process, longest):
    """Kill a run, its workers too; whether it was still going."""
    time.sleep(random.uniform(0, longest))
    going = process.poll() is None
    if going:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return going


def where_it_began(work_dir):
    """Iterations that a run, or one of its parts, went on from."""
    logs = [path.read_text() for path in work_dir.glob('2*/2*.log')]
    return re.findall(r'resumed epoch: 0, iter: (\d+)', ''.join(logs))


@pytest.mark.slow
@pytest.mark.parametrize('num_workers', [0, 2])
@pytest.mark.parametrize(
    'async_save', [False, True], ids=['at once', 'beside training']
)
def test_kills(tmp_path, start, num_workers, async_save):
    """A run has to go on after each, and to end as an undisturbed one."""
    random.seed(num_workers)
    config = write_config(tmp_path, num_workers, async_save)
    began = time.perf_counter()
    finish(start(config, tmp_path / 'reference'))
    whole = time.perf_counter() - began
    done, resumed = 0, []
    # Some go on from within an accumulation window.
    while done < KILLS or not any(int(x) % 8 for x in resumed):
        work_dir = tmp_path / f'run{done}'
        process = start(config, work_dir)
        while kill_at_random(process, whole):
            done += 1
            process = start(config, work_dir, '--resume')
        finish(process)
        assert_same_end(work_dir, tmp_path / 'reference')
        resumed += where_it_began(work_dir)


@pytest.mark.parametrize(
    ('num_workers', 'number'),
    [
        pytest.param(0, signal.SIGUSR1, marks=pytest.mark.slow),
        (2, signal.SIGTERM),
    ],
)
@pytest.mark.parametrize(
    'async_save',
    [
        pytest.param(False, id='at once'),
        pytest.param(True, id='beside training', marks=pytest.mark.slow),
    ],
)
def test_preempted(tmp_path, start, num_workers, number, async_save):
    """A scheduler signals every process of the job, the workers too."""
    config = write_config(tmp_path, num_workers, async_save)
    # Some windows of 8, each network's.
    config.write_text(config.read_text().replace('iters=72', 'iters=36'))
    finish(start(config, tmp_path / 'reference'))
    process = start(config, tmp_path / 'run')
    while 'Iter(train) [10/36]' not in process.stdout.readline():
        assert process.poll() is None
    os.killpg(process.pid, number)
    out = process.communicate(timeout=120)[0]
    assert process.returncode == 0, out
    assert f'Got {number.name}: saved' in out
    assert 'Go on with: ' in out.splitlines()[-1]
    assert '--resume' in out.splitlines()[-1]
    assert not (tmp_path / 'run/iter_36.pth').exists()
    finish(start(config, tmp_path / 'run', '--resume'))
    assert_same_end(tmp_path / 'run', tmp_path / 'reference', 36)
