"""`tools/dist_train.sh`, as a user runs it, on the CPU."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
GAN = ROOT / 'configs/dcgan/dcgan_digits-32x32.py'
SMALL = [
    'train_dataloader.batch_size=4',
    'train_dataloader.num_workers=0',
    'model.generator.base_channels=8',
    'model.discriminator.base_channels=8',
    'default_hooks.logger.interval=1',
    'val_dataloader=None',
    'val_cfg=None',
    'val_evaluator=None',
    'default_hooks.checkpoint.save_best=None',
]
DEMO = """

@MODELS.register_module()
class DemoModel(BaseModel):
    def __init__(self):
        super().__init__(dict(type='mmamp.GANDataPreprocessor'))
        self.network = torch.nn.Linear(64, 1)

    def forward(self, inputs, data_samples=None, mode='tensor'):
        raise AssertionError('the wrapper bypasses train_step')

    def train_step(self, data, optim_wrapper):
        data = self.data_preprocessor(data, True)
        with optim_wrapper.optim_context(self.network):
            prediction = self.network(data['inputs'].flatten(1))
            losses = dict(loss=(prediction - 1).pow(2).mean())
        loss, log_vars = self.parse_losses(losses)
        optim_wrapper.update_params(loss)
        return log_vars
"""
DEMO_CONFIG = """
model = dict(type='mmengine.DemoModel')
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1e-3))
train_cfg = dict(by_epoch=False, max_iters=3)
default_hooks = dict(logger=dict(type='LoggerHook', interval=1))
"""


def command(*args):
    return ['bash', str(ROOT / 'tools/dist_train.sh'), *map(str, args)]


@pytest.fixture
def run(environment):
    """Run the script to its end, with a project's folder or without."""

    def run(*args, folder=ROOT, **variables):
        return subprocess.run(
            command(*args),
            env=environment(folder, **variables),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.mark.ranks
def test_a_gan(tmp_path, run):
    work_dir = tmp_path / 'a folder'
    done = run(
        GAN,
        2,
        '--amp',
        f'--work-dir={work_dir}',
        '--cfg-options',
        'train_cfg.max_iters=3',
        *SMALL,
        # By all means as users do.
        PYTHON=sys.executable,
    )
    out = done.stdout + done.stderr
    assert done.returncode == 0, out
    assert 'SeparateDistributedDataParallel' in out
    assert (work_dir / 'last_checkpoint').exists()
    assert out.count('Iter(train) [3/3]') == 1
    assert 'generator (DCGANGenerator, ' in out  # not its DDP
    assert '    on: 2 processes' in out
    assert 'Setting OMP_NUM_THREADS' not in out
    assert 'is deprecated' not in out
    dumped = (work_dir / GAN.name).read_text()
    assert 'mmamp.SeparateDistributedDataParallel' in dumped


@pytest.fixture
def run_demo(run, user_project):
    """The same with the guide's model."""
    folder = user_project(DEMO, DEMO_CONFIG)
    return partial(run, 'config.py', 2, folder=folder)


@pytest.mark.ranks
def test_a_model_with_its_own_train_step(run_demo):
    """With a port from the environment, as for several machines."""
    port = 20000 + os.getpid() % 10000
    done = run_demo('--amp', PORT=str(port), NNODES='1')
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r'Iter\(train\) \[3/3\]', done.stdout + done.stderr)


@pytest.mark.ranks
@pytest.mark.parametrize(
    'kind', ['MMDistributedDataParallel', 'DistributedDataParallel']
)
def test_a_wrapper_that_bypasses_it(run_demo, kind):
    done = run_demo('--cfg-options', f'model_wrapper_cfg.type={kind}')
    assert done.returncode != 0
    message = f'{kind} would not run the train_step of mmengine.DemoModel'
    assert done.stderr.count(message) == 1
    assert "type='mmamp.SeparateDistributedDataParallel'" in done.stderr


@pytest.mark.ranks
def test_a_mistake_that_one_rank_meets(run_demo):
    """Nobody waits for it, and no rank ends before it is told."""
    with Path(run_demo.keywords['folder'], 'config.py').open('a') as file:
        file.write(
            "randomness = dict(seed='a' if '{{$RANK:0}}' == '1' else 1)"
        )
    done = run_demo()
    assert done.returncode != 0
    (line,) = re.findall('mmamp.train: error: .*', done.stderr)
    assert re.match(r'mmamp.train: error: rank 1 on \S+: randomness', line)


def test_a_port_that_is_taken(run):
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
        done = run(GAN, 2, PORT=str(port))
    assert done.returncode == 2
    assert done.stderr == (
        f'PORT={port} cannot be had on this machine; give another, the same '
        'on all machines\n'
    )


@pytest.mark.ranks
def test_a_machine_whose_name_is_nobodys(user_project, environment):
    folder = user_project(DEMO, DEMO_CONFIG)
    own_name = ['unshare', '--uts', '--mount', 'bash', '-c']
    # Nobody is asked whose it is: an answer may take minutes.
    rename = 'hostname nobody && mount --bind /dev/null /etc/resolv.conf'
    run = shlex.join(command('config.py', 2))
    try:
        subprocess.run([*own_name, rename], check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip('this process may not have a name of its own')
    done = subprocess.run(
        [
            *own_name,
            f'{rename} && exec {run}',
        ],
        env=environment(folder, PYTHON=sys.executable),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('args', [(), (GAN,), (GAN, '0'), (GAN, '--amp')])
def test_usage(args, run):
    done = run(*args)
    assert done.returncode == 2
    assert done.stderr.startswith('usage: bash tools/dist_train.sh CONFIG')


def test_a_config_that_is_not_there_is_told_once(run):
    done = run('configs/dcgan/dcgan.py', 2)
    assert done.returncode == 2
    assert done.stderr == (
        "config file 'configs/dcgan/dcgan.py' does not exist\n"
    )


SLOW_DISK = """

import time
from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class SlowDisk(Hook):
    def before_save_checkpoint(self, runner, checkpoint):
        time.sleep(6)
"""
ENDLESS = """
train_cfg = dict(by_epoch=False, max_iters=10**9)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=5),
    checkpoint=dict(type='CheckpointHook', interval=10**9, by_epoch=False))
custom_hooks = [dict(type='mmengine.SlowDisk')]
"""


@pytest.mark.ranks
@pytest.mark.parametrize('name', ['SIGTERM', 'SIGUSR1'])
def test_preempted(user_project, environment, process_of_rank, name):
    """As by a scheduler; a checkpoint takes longer than torchrun waits."""
    folder = user_project(DEMO + SLOW_DISK, DEMO_CONFIG + ENDLESS)
    process = subprocess.Popen(
        command('config.py', 2, '--work-dir', 'run'),
        env=environment(
            folder, PYTHON=sys.executable, TORCH_ELASTIC_SHUTDOWN_TIMEOUT='2'
        ),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while 'Iter(train) [' not in (line := process.stdout.readline()):
        assert line, 'the run has ended'
    ranks = [process_of_rank(process.pid, rank) for rank in range(2)]
    os.kill(process.pid, getattr(signal, name))
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 0, out
    assert f'Got {name}: saved' in out
    assert len(list((folder / 'run').glob('iter_*.pth'))) == 1
    assert not any(Path(f'/proc/{rank}').exists() for rank in ranks)


@pytest.mark.ranks
def test_ctrl_c(user_project, environment):
    folder = user_project(DEMO + SLOW_DISK, DEMO_CONFIG + ENDLESS)
    process = subprocess.Popen(
        command('config.py', 2, '--work-dir', 'run'),
        env=environment(folder, PYTHON=sys.executable),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while 'Iter(train) [' not in (line := process.stdout.readline()):
        assert line, 'the run has ended'
    os.killpg(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert out.count('Interrupted') == 1, out
    assert not list((folder / 'run').glob('iter_*.pth'))


@pytest.mark.ranks
def test_torchrun_without_a_launcher(user_project, environment):
    """Two trainings in one folder, each by itself, is nobody's wish."""
    folder = user_project(DEMO, DEMO_CONFIG)
    done = subprocess.run(
        [
            *(sys.executable, '-m', 'torch.distributed.run', '--standalone'),
            *('--nproc-per-node', '2', str(ROOT / 'tools/train.py')),
            *('config.py', '--work-dir', 'run'),
        ],
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    out = done.stdout + done.stderr
    assert done.returncode == 0, out
    assert '--launcher pytorch, since the environment has RANK' in out
    assert out.count('Iter(train) [3/3]') == 1
    assert len(list((folder / 'run').glob('*/vis_data'))) == 1


@pytest.mark.slow
@pytest.mark.ranks
def test_death_of_a_rank(tmp_path, run, environment, process_of_rank):
    """The others end within a minute, and the run goes on."""
    args = [GAN, 2, '--amp', '--work-dir', tmp_path, '--cfg-options', *SMALL]
    args += ['default_hooks.checkpoint.interval=5', 'train_cfg.max_iters=400']
    process = subprocess.Popen(
        command(*args),
        # Ranks are found by whose children they are.
        env=environment(PYTHON=sys.executable),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while 'Iter(train) [ 20/400]' not in (line := process.stdout.readline()):
        assert line, 'the run has ended'
    os.kill(process_of_rank(process.pid, 1), signal.SIGKILL)
    begin = time.monotonic()
    out, _ = process.communicate(timeout=90)
    assert time.monotonic() - begin < 60
    assert process.returncode != 0
    assert 'Signal 9 (SIGKILL)' in out
    last = Path((tmp_path / 'last_checkpoint').read_text())
    reached = torch.load(last, weights_only=True)['meta']['iter']
    assert reached >= 15

    args = [*args[:-1], f'train_cfg.max_iters={reached + 3}', '--resume']
    done = run(*args)
    out = done.stdout + done.stderr
    assert done.returncode == 0, out
    assert f'resumed epoch: 0, iter: {reached}' in out
    assert f'Iter(train) [{reached + 3}/{reached + 3}]' in out
