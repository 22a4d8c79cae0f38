"""`tools/slurm_train.sh` on a real Slurm of two nodes on this machine."""

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
GAN = ROOT / 'configs/dcgan/dcgan_digits-32x32.py'
NO_VALIDATION = [
    'val_dataloader=None',
    'val_cfg=None',
    'val_evaluator=None',
    'default_hooks.checkpoint.save_best=None',
]
SCRIPT = str(ROOT / 'tools/slurm_train.sh')
MISSING = [
    name
    for name in ('slurmctld', 'munged', 'sbatch')
    if not shutil.which(name)
]
needs_slurm = pytest.mark.skipif(
    bool(MISSING),
    reason=f'not installed: {", ".join(MISSING)} '
    '(apt-get install slurm-wlm munge)',
)


@pytest.fixture(scope='module')
def slurm(tmp_path_factory):
    folder = tmp_path_factory.mktemp('slurm')
    script = ROOT / 'tools/dev/local_slurm.sh'
    subprocess.run(['bash', script, 'start', folder], check=True)
    # Slurm ends the processes that are its own.
    yield dict(SLURM_CONF=f'{folder}/slurm.conf', PYTHON=sys.executable)
    subprocess.run(['bash', script, 'stop', folder], check=True)


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return found


@pytest.fixture
def submit(slurm, tmp_path, environment):
    """Submit a small run on two tasks; tell it to go when it is time."""
    env = environment(
        GPUS='0',
        GPUS_PER_NODE='1',
        CPUS_PER_TASK='1',
        SRUN_ARGS='--nodes=2 --ntasks=2',
        **slurm,
    )
    work_dir = tmp_path / 'a folder'

    def say(*command):
        done = subprocess.run(
            command, env=env, capture_output=True, text=True, check=True
        )
        return done.stdout.split()

    def run(iters, is_time):
        process = subprocess.Popen(
            [
                *('bash', SCRIPT, 'test', 'my job', str(GAN), str(work_dir)),
                *('--amp', '--cfg-options', f'train_cfg.max_iters={iters}'),
                *(
                    'train_dataloader.batch_size=4',
                    'train_dataloader.num_workers=0',
                    *NO_VALIDATION,
                ),
                *('model.generator.base_channels=8',),
                *('model.discriminator.base_channels=8',),
                *('default_hooks.logger.interval=1',),
            ],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        log = work_dir / 'slurm.log'
        try:
            wait_for(lambda: is_time(log.exists() and log.read_text(), say))
            (job,) = say('squeue', '-h', '-o', '%i')
            say('scancel', '--signal=USR1', '--batch', job)
            out, _ = process.communicate(timeout=500)
        finally:
            process.kill()
        whole = log.read_text()
        assert process.returncode == 0, whole
        assert f'Preempted: requeueing job {job}' in whole
        assert f'Iter(train) [{iters}/{iters}]' in whole
        assert f'Iter(train) [{iters}/{iters}]' in out, 'not followed'
        assert not (work_dir / '.preempted').exists()
        return work_dir, whole

    return run


@pytest.mark.slurm
@needs_slurm
def test_preempted_requeued_and_finished(submit):
    work_dir, whole = submit(
        600, lambda text, say: text and 'Iter(train) [ 20/600]' in text
    )
    resumed = re.search(r'resumed epoch: 0, iter: (\d+)', whole)
    assert 20 <= int(resumed[1]) < 600
    # Each iteration once: it went on where it was.
    done = re.findall(r'Iter\(train\) \[ *(\d+)/600\]', whole)
    assert list(map(int, done)) == list(range(1, 601))
    assert 'on: 2 processes' in whole
    states = torch.load(work_dir / 'iter_600.pth', weights_only=True)
    assert len(states['rng_states']) == 2


@pytest.mark.slurm
@needs_slurm
def test_preempted_before_it_could_listen(submit):
    """While Python imports; there is no checkpoint yet."""

    def has_tasks(text, say):
        return [x for x in say('squeue', '-h', '-s', '-o', '%i') if '.0' in x]

    _, whole = submit(30, has_tasks)
    done = re.findall(r'Iter\(train\) \[ *(\d+)/30\]', whole)
    assert list(map(int, done)) == list(range(1, 31))


@pytest.mark.slurm
@needs_slurm
def test_cancelled_is_not_preempted(slurm, tmp_path, environment):
    """`scancel JOB` saves a checkpoint, and that is the end of it."""
    # As long as a large checkpoint would take.
    slow = tmp_path / 'slow_python'
    slow.write_text(
        f'#!/bin/bash\ntrap : TERM\n"{sys.executable}" "$@"\nsleep 40\n'
    )
    slow.chmod(0o755)
    env = environment(
        GPUS='0',
        GPUS_PER_NODE='1',
        CPUS_PER_TASK='1',
        **{**slurm, 'PYTHON': str(slow)},
    )
    command = ['bash', SCRIPT, 'test', 'job', str(GAN), str(tmp_path)]
    command += ['--cfg-options', 'default_hooks.logger.interval=1']
    command += NO_VALIDATION
    process = subprocess.Popen(
        command,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    log = tmp_path / 'slurm.log'
    wait_for(
        lambda: log.exists() and 'Iter(train) [  3/500]' in log.read_text()
    )

    def jobs():
        done = subprocess.run(
            ['squeue', '-h', '-o', '%i'],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.split()

    subprocess.run(['scancel', *jobs()], env=env, check=True)
    process.communicate(timeout=100)
    assert process.returncode == 143
    assert 'it is not requeued' in log.read_text()
    wait_for(lambda: not jobs())
    assert list(tmp_path.glob('iter_*.pth'))


@pytest.mark.slurm
@needs_slurm
def test_a_job_that_fails(slurm, tmp_path, environment):
    env = environment(GPUS='0', GPUS_PER_NODE='1', CPUS_PER_TASK='1', **slurm)
    done = subprocess.run(
        [
            *('bash', SCRIPT, 'test', 'job', str(GAN), str(tmp_path)),
            *('--cfg-options', 'model.type=Nonsense'),
        ],
        env=env,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode != 0
    assert 'Nonsense' in done.stdout


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        ((), 'got: '),
        (('p', 'j', str(GAN)), 'got: p j'),
        (('p', 'j', str(GAN), 'w', '--work-dir=x'), 'w; got --work-dir=x too'),
        (('p', 'j', 'no.py', 'w'), "config file 'no.py' does not exist"),
    ],
)
def test_usage(args, message, environment):
    done = subprocess.run(
        ['bash', SCRIPT, *args],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith('usage: bash tools/slurm_train.sh PARTITION')
    assert message in done.stderr


@pytest.mark.parametrize(
    ('variable', 'value'), [('GPUS', 'two'), ('GPUS_PER_NODE', '0')]
)
def test_bad_numbers(tmp_path, variable, value, environment):
    done = subprocess.run(
        ['bash', SCRIPT, 'p', 'j', str(GAN), str(tmp_path)],
        env=environment(**{variable: value}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert f'{variable}={value} is no number' in done.stderr
