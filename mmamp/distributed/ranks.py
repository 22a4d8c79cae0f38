"""The processes of one run."""

import gc
import os

from mmengine.device import get_device
from torch import distributed

from mmamp.errors import UsageError

VARIABLES = dict(
    pytorch=('RANK', 'WORLD_SIZE'),
    slurm=('SLURM_PROCID', 'SLURM_NTASKS'),
)
"""What tells a process its rank and how many there are, by launcher."""


def check_launcher(launcher: str) -> None:
    """Refuse a launcher that has not started this process.

    Raises:
        UsageError: In one line.
    """
    variable, *_ = VARIABLES.get(launcher, ('',))
    if variable and variable not in os.environ:
        script = dict(pytorch='dist_train', slurm='slurm_train')[launcher]
        raise UsageError(
            f'--launcher {launcher}: there is no {variable} in the '
            f'environment; start the run with `bash tools/{script}.sh`'
        )


def join_ranks(launcher: str) -> None:
    """Join the other processes where there is no accelerator.

    MMEngine would look for a GPU, whatever backend the config has.
    """
    if get_device() != 'cpu':
        return
    if launcher == 'pytorch':
        distributed.init_process_group('gloo')
    elif launcher == 'slurm':
        # Where they meet, tools/slurm_train.sh says.
        rank, size = (int(os.environ[x]) for x in VARIABLES[launcher])
        distributed.init_process_group('gloo', rank=rank, world_size=size)


def leave_ranks() -> None:
    """Part from the other processes when all of them are done.

    A group's threads end with the last that refers to it. One that still
    lets go of a tensor while Python ends would end the process (SIGABRT).
    """
    if distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
        gc.collect()
