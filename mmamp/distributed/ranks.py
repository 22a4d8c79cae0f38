"""The processes of one run."""

import gc
import os
import subprocess
import time
import zlib
from datetime import timedelta

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from torch import distributed

from mmamp.errors import UsageError

VARIABLES = dict(
    pytorch=('RANK', 'WORLD_SIZE'),
    slurm=('SLURM_PROCID', 'SLURM_NTASKS'),
    mpi=('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'),
)
"""What tells a process its rank and how many there are, by launcher."""
_STARTED_BY = dict(
    WORLD_SIZE='pytorch',
    # Not SLURM_NTASKS, which a batch script has too.
    SLURM_STEP_NUM_TASKS='slurm',
    OMPI_COMM_WORLD_SIZE='mpi',
)
"""Launchers by what they tell a process alone that they have started."""
_LOCAL = dict(slurm='SLURM_LOCALID', mpi='OMPI_COMM_WORLD_LOCAL_RANK')
"""What tells a process its rank on its machine, by launcher."""
_OTHERS = ('PMI_SIZE', 'PMIX_SIZE', 'MV2_COMM_WORLD_SIZE', 'PALS_SIZE')
"""The same of launchers that MMEngine does not know."""


def launcher_of_process() -> str:
    """Return what the environment says has started this process.

    Returns:
        str: One of MMEngine's launchers; ``'none'`` for a single process.

    Raises:
        UsageError: If it is one that MMEngine does not know: each process
            would train by itself.
    """
    for variable, launcher in _STARTED_BY.items():
        if _number(variable) > 1:
            return launcher
    for variable in _OTHERS:
        if _number(variable) > 1:
            raise UsageError(
                f'this is one of {os.environ[variable]} processes '
                f'({variable} in the environment), each of which would train '
                'by itself: start the run with `bash tools/dist_train.sh`, '
                '`bash tools/slurm_train.sh`, torchrun, srun or the mpirun of '
                'Open MPI; --launcher none trains in each all the same'
            )
    return 'none'


def _number(variable: str) -> int:
    text = os.environ.get(variable, '')
    return int(text) if text.isdecimal() else 0


def rank_of_process(launcher: str) -> int:
    """Return the rank of this process, before there is a process group.

    Args:
        launcher (str): What has started it, and has told it.
    """
    return _number(VARIABLES[launcher][0]) if launcher in VARIABLES else 0


def prepare_launcher(
    launcher: str, local_rank: int = 0, is_given: bool = True
) -> None:
    """Complete what a launcher has told this process.

    Args:
        launcher (str): Its name.
        local_rank (int): Of this process on its machine, if nothing else says
            so. Defaults to 0.
        is_given (bool): Whether the user has named it. Defaults to True.

    Raises:
        UsageError: If the environment is not that launcher's, or there is no
            device for this process.
    """
    check_launcher(launcher)
    local = os.environ.get(_LOCAL.get(launcher, ''), str(local_rank))
    os.environ.setdefault('LOCAL_RANK', local)
    _find_meeting_place(launcher)
    gpus = torch.cuda.device_count()
    if launcher != 'none' and 0 < gpus <= _number('LOCAL_RANK'):
        raise UsageError(
            f'this is process {_number("LOCAL_RANK") + 1} of its machine, on '
            f'which {gpus} GPU(s) are visible: start one for each (GPUS of '
            'tools/dist_train.sh, GPUS_PER_NODE of tools/slurm_train.sh; '
            'CUDA_VISIBLE_DEVICES names them)'
        )
    if launcher != 'none' and not is_given:
        print_log(
            f'--launcher {launcher}, since the environment has '
            f'{" and ".join(VARIABLES[launcher])}',
            logger='current',
        )


def check_launcher(launcher: str) -> None:
    """Refuse a launcher that has not started this process.

    Raises:
        UsageError: In one line.
    """
    variables = [*VARIABLES.get(launcher, ())]
    if launcher == 'pytorch':
        variables += ['MASTER_ADDR', 'MASTER_PORT']
    missing = [name for name in variables if name not in os.environ]
    if missing:
        command = dict(
            pytorch='bash tools/dist_train.sh',
            slurm='bash tools/slurm_train.sh',
            mpi='mpirun',
        )[launcher]
        raise UsageError(
            f'--launcher {launcher}: there is no {", no ".join(missing)} in '
            f'the environment; start the run with `{command}`'
        )


def _find_meeting_place(launcher: str) -> None:
    """Say in the environment where ranks meet, if nothing else has said it.

    torchrun says it, and so does ``tools/slurm_train.sh``; srun and mpirun do
    not.

    Raises:
        UsageError: If several machines were given and none of them.
    """
    if launcher not in ('slurm', 'mpi') or 'MASTER_ADDR' in os.environ:
        return
    size = int(os.environ[VARIABLES[launcher][1]])
    if launcher == 'slurm':
        alone = _number('SLURM_STEP_NUM_NODES') == 1
        job = _number('SLURM_JOB_ID') + _number('SLURM_STEP_ID')
        host = '127.0.0.1' if alone else _first_host()
    else:
        alone = _number('OMPI_COMM_WORLD_LOCAL_SIZE') == size
        names = ('PMIX_NAMESPACE', 'OMPI_MCA_ess_base_jobid')
        job = zlib.crc32(''.join(map(os.environ.get, names, '  ')).encode())
        host = '127.0.0.1' if alone else ''
    if not host:
        raise UsageError(
            f'--launcher {launcher}: the {size} processes are on several '
            'machines; MASTER_ADDR in the environment has to name that of the '
            'first one (and MASTER_PORT a free port there)'
        )
    os.environ['MASTER_ADDR'] = host
    os.environ.setdefault('MASTER_PORT', str(20000 + job % 10000))


def _first_host() -> str:
    """Return the first machine of a Slurm step; empty if nobody knows."""
    nodes = os.environ.get('SLURM_STEP_NODELIST', '')
    try:
        return subprocess.run(
            ['scontrol', 'show', 'hostnames', nodes],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ''


def timeout_of(cfg: Config) -> timedelta | None:
    """Return how long ranks wait for each other.

    Args:
        cfg (Config): With ``env_cfg.dist_cfg.timeout``, seconds, or not.

    Returns:
        timedelta or None: None is torch's default.

    Raises:
        UsageError: If it is no number of seconds.
    """
    seconds = ((cfg.get('env_cfg') or {}).get('dist_cfg') or {}).get('timeout')
    if seconds is None:
        return None
    try:
        return timedelta(seconds=seconds)
    except TypeError as error:
        raise UsageError(
            'env_cfg.dist_cfg.timeout must be a number of seconds, but is '
            f'{seconds!r}'
        ) from error


def join_ranks(cfg: Config) -> None:
    """Join the other processes where there is no accelerator.

    MMEngine would look for a GPU, whatever backend the config has.

    Args:
        cfg (Config): With ``launcher``.
    """
    launcher = cfg.launcher
    if get_device() != 'cpu' or launcher not in VARIABLES:
        return
    rank, size = (int(os.environ[x]) for x in VARIABLES[launcher])
    distributed.init_process_group(
        'gloo', rank=rank, world_size=size, timeout=timeout_of(cfg)
    )


def leave_ranks() -> None:
    """Part from the other processes when all of them are done.

    A group's threads end with the last that refers to it. One that still
    lets go of a tensor while Python ends would end the process (SIGABRT); one
    that does so while the group is taken down would wait for this thread, and
    this one for it (torch 2.13).
    """
    if distributed.is_initialized():
        gc.collect()
        # With the first one the threads let go of what was before it, with
        # the second of nothing that Python knows; and they have their time.
        for _ in range(2):
            distributed.barrier()
            time.sleep(0.02)
        distributed.destroy_process_group()
        gc.collect()
