"""What a process of the ``in_ranks`` fixture does.

A module with a name of its own: the processes look it up by it.
"""

import os

import torch
from torch import distributed


def one_rank(rank, world_size, store, path, task, args):
    torch.set_num_threads(1)
    os.environ['LOCAL_RANK'] = str(rank)
    distributed.init_process_group(
        'gloo', init_method=f'file://{store}', rank=rank, world_size=world_size
    )
    torch.save(task(rank, world_size, *args), f'{path}{rank}')
    distributed.barrier()
    # Without a tear-down, in which gloo sometimes waits for a rank that left.
    os._exit(0)
