import os

import pytest
import torch
from mmengine.config import Config
from torch import distributed

from mmamp.distributed.cpu_group import cpu_group, new_cpu_group
from mmamp.distributed.ranks import (
    check_launcher,
    launcher_of_process,
    prepare_launcher,
    timeout_of,
)
from mmamp.errors import UsageError

REST = dict(
    pytorch=['WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'],
    slurm=['SLURM_NTASKS'],
    mpi=['OMPI_COMM_WORLD_SIZE'],
)


@pytest.mark.parametrize(
    ('launcher', 'variable', 'script'),
    [
        ('pytorch', 'RANK', 'tools/dist_train.sh'),
        ('slurm', 'SLURM_PROCID', 'tools/slurm_train.sh'),
        ('mpi', 'OMPI_COMM_WORLD_RANK', 'mpirun'),
    ],
)
def test_who_has_started_this_process(launcher, variable, script, monkeypatch):
    monkeypatch.delenv(variable, raising=False)
    with pytest.raises(UsageError, match=f'no {variable}.*{script}'):
        check_launcher(launcher)
    for name in (variable, *REST[launcher]):
        monkeypatch.setenv(name, '1')
    check_launcher(launcher)


def test_nowhere_to_meet(environment_of):
    environment_of(RANK='0', WORLD_SIZE='2')
    with pytest.raises(UsageError, match='no MASTER_ADDR, no MASTER_PORT in'):
        prepare_launcher('pytorch')


def test_nobody():
    check_launcher('none')


def find_launcher(given):
    launcher = given or launcher_of_process()
    prepare_launcher(launcher, 0, given is not None)
    return launcher


TOLD = [
    *('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'),
    *('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_STEP_NUM_TASKS', 'SLURM_LOCALID'),
    *('SLURM_STEP_NUM_NODES', 'SLURM_STEP_NODELIST', 'OMPI_COMM_WORLD_RANK'),
    *('OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK', 'PMI_SIZE'),
    'OMPI_COMM_WORLD_LOCAL_SIZE',
]
TORCHRUN = dict(
    RANK='1',
    WORLD_SIZE='2',
    LOCAL_RANK='1',
    MASTER_ADDR='here',
    MASTER_PORT='1',
)
SRUN = dict(
    SLURM_PROCID='3',
    SLURM_NTASKS='4',
    SLURM_STEP_NUM_TASKS='4',
    SLURM_LOCALID='1',
    SLURM_STEP_NUM_NODES='1',
)
MPIRUN = dict(
    OMPI_COMM_WORLD_RANK='3',
    OMPI_COMM_WORLD_SIZE='4',
    OMPI_COMM_WORLD_LOCAL_RANK='1',
    OMPI_COMM_WORLD_LOCAL_SIZE='4',
)


@pytest.fixture
def environment_of(monkeypatch):
    """The environment of a process that something has started."""

    def set_(**variables):
        for name in TOLD:
            # So that what is set meanwhile is gone again.
            monkeypatch.setenv(name, '')
            monkeypatch.delenv(name)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_


@pytest.mark.parametrize(
    ('variables', 'expected'),
    [
        ({}, 'none'),
        (TORCHRUN, 'pytorch'),
        (dict(TORCHRUN, WORLD_SIZE='1', RANK='0'), 'none'),
        (SRUN, 'slurm'),
        # A batch script, or an allocation's shell.
        (dict(SLURM_PROCID='0', SLURM_NTASKS='4'), 'none'),
        # One torchrun in each task.
        ({**SRUN, **TORCHRUN}, 'pytorch'),
        (MPIRUN, 'mpi'),
    ],
)
def test_the_launcher_is_that_of_the_environment(
    environment_of, mm_log, variables, expected
):
    environment_of(**variables)
    assert find_launcher(None) == expected
    said = f'--launcher {expected}, since the environment has'
    assert (said in mm_log()) is (expected != 'none')
    local = '1' if expected != 'none' else variables.get('LOCAL_RANK', '0')
    assert os.environ['LOCAL_RANK'] == local
    assert ('MASTER_ADDR' in os.environ) is bool(
        expected != 'none' or 'MASTER_ADDR' in variables
    )


def test_processes_of_one_machine_meet_there(environment_of):
    places = []
    for variables in (SRUN, MPIRUN, dict(MPIRUN, OMPI_COMM_WORLD_RANK='0')):
        environment_of(**variables)
        find_launcher(None)
        assert os.environ['MASTER_ADDR'] == '127.0.0.1'
        places.append(os.environ['MASTER_PORT'])
    assert places[1] == places[2]


def test_processes_of_several_machines_have_to_be_told(environment_of):
    environment_of(**dict(MPIRUN, OMPI_COMM_WORLD_LOCAL_SIZE='2'))
    with pytest.raises(UsageError, match='MASTER_ADDR'):
        find_launcher('mpi')


def test_more_processes_than_gpus(environment_of, monkeypatch):
    monkeypatch.setattr('torch.cuda.device_count', lambda: 1)
    environment_of(**dict(TORCHRUN, LOCAL_RANK='0'))
    assert find_launcher(None) == 'pytorch'
    environment_of(**TORCHRUN)
    with pytest.raises(UsageError, match=r'process 2 .* 1 GPU\(s\)'):
        find_launcher(None)


def test_how_long_ranks_wait():
    cfg = Config(dict(env_cfg=dict(dist_cfg=dict(timeout=90))))
    assert timeout_of(cfg).total_seconds() == 90
    assert timeout_of(Config(dict(env_cfg=None))) is None
    cfg.env_cfg.dist_cfg.timeout = 'long'
    with pytest.raises(UsageError, match="but is 'long'"):
        timeout_of(cfg)


def groups(rank, world_size):
    cfg = Config(dict(env_cfg=dict(dist_cfg=dict(timeout=90))))
    assert cpu_group('X', cfg) is distributed.group.WORLD
    new = new_cpu_group('X', timeout_of(cfg))
    backend = new._get_backend(torch.device('cpu'))
    return backend.options._timeout.total_seconds()


def test_no_second_group_where_the_first_will_do(in_ranks):
    assert in_ranks(2, groups) == [90, 90]


def test_a_launcher_that_mmengine_does_not_know(environment_of):
    environment_of(PMI_SIZE='2')
    with pytest.raises(UsageError, match='one of 2 processes .PMI_SIZE'):
        find_launcher(None)
    assert find_launcher('none') == 'none'
