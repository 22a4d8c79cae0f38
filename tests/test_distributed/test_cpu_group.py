"""Where gloo connects the ranks, and where it does not."""

import contextlib
import ctypes
import os
import signal
import subprocess
from datetime import timedelta

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from torch import distributed

import mmamp  # noqa: F401
from mmamp.distributed import cpu_group
from mmamp.distributed.cpu_group import new_cpu_group
from mmamp.errors import Preempted

NEW_NETWORK = 0x40000000
"""CLONE_NEWNET of Linux."""


def connect(rank, world_size, path, trouble):
    MMLogger.get_instance(f'{path}{rank}', log_file=f'{path}/{rank}.log')
    cpu_group.CONNECTING = timedelta(seconds=0.5)
    if trouble == 'no such interface':
        os.environ['GLOO_SOCKET_IFNAME'] = 'nowhere'
    elif trouble == 'unreachable' and rank == 1:
        # Its connections stay what they are; new ones lead nowhere.
        ctypes.CDLL(None).unshare(NEW_NETWORK)
        subprocess.run(['ip', 'link', 'set', 'lo', 'up'])
    group = new_cpu_group('PreemptionHook')
    value = torch.tensor([rank + 1])
    distributed.all_reduce(value, group=group)
    return [group is None, value.item()]


@pytest.mark.parametrize('trouble', ['', 'no such interface'])
def test_a_group_or_none(in_ranks, tmp_path, trouble):
    found = in_ranks(2, connect, str(tmp_path), trouble)
    assert found == [[bool(trouble), 3]] * 2
    log = (tmp_path / '0.log').read_text()
    assert ('GLOO_SOCKET_IFNAME=' in log) == bool(trouble)


def can_part_networks():
    with contextlib.suppress(OSError):
        return not subprocess.run(['unshare', '-n', 'true']).returncode
    return False


@pytest.mark.skipif(not can_part_networks(), reason='needs to be root')
def test_none_on_all_where_one_fails(in_ranks, tmp_path):
    """The other would wait for half an hour, by torch's own timeout."""
    found = in_ranks(2, connect, str(tmp_path), 'unreachable')
    assert found == [[True, 3]] * 2
    assert 'connect' in (tmp_path / '0.log').read_text()


def preempt(rank, world_size, folder):
    os.environ['GLOO_SOCKET_IFNAME'] = 'nowhere'
    # As where the run's own group is one of devices.
    cpu_group.get_backend = lambda: 'nccl'
    cfg = Config.fromfile(f'{folder}/config.py')
    cfg.work_dir = f'{folder}/work'
    cfg.launcher = 'pytorch'
    cfg.model_wrapper_cfg = dict(type='mmamp.SeparateDistributedDataParallel')
    runner = Runner.from_cfg(cfg)
    if rank == 1:
        train_step = runner.model.train_step

        def stepping(*args, **kwargs):
            if runner.iter == 4:
                os.kill(os.getpid(), signal.SIGTERM)
            return train_step(*args, **kwargs)

        runner.model.train_step = stepping
    with contextlib.suppress(Preempted):
        runner.train()
    return runner.iter


def test_a_preempted_run_where_gloo_cannot(in_ranks, tmp_path, build_runner):
    """All ranks learn of it when the log is written, and save."""
    given = {
        'train_cfg.max_iters': 20,
        'custom_hooks': [dict(type='PreemptionHook')],
        'default_hooks.checkpoint.interval': 100,
    }
    build_runner('gan', given).cfg.dump(tmp_path / 'config.py')
    assert in_ranks(2, preempt, str(tmp_path)) == [5, 5]
    assert (tmp_path / 'work/iter_6.pth').exists()
