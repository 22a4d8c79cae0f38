"""A process of the ``in_ranks`` fixture: ``python one_rank.py TASK``.

The task is a pickle of where modules are found, the function and its
arguments; ``RANK`` and ``WORLD_SIZE`` are in the environment.
"""

import os
import pickle
import sys
from pathlib import Path

import torch
from torch import distributed


def main(path, rank, world_size):
    torch.set_num_threads(1)
    os.environ['LOCAL_RANK'] = str(rank)
    with path.open('rb') as file:
        sys.path[:] = pickle.load(file)
        task, args = pickle.load(file)
    distributed.init_process_group(
        'gloo',
        init_method=f'file://{path}.store',
        rank=rank,
        world_size=world_size,
    )
    torch.save(task(rank, world_size, *args), f'{path}{rank}')
    distributed.barrier()
    # Without a tear-down, in which gloo sometimes waits for a rank that left.
    os._exit(0)


if __name__ == '__main__':
    rank, world_size = (
        int(os.environ.pop('RANK')),
        os.environ.pop('WORLD_SIZE'),
    )
    main(Path(sys.argv[1]), rank, int(world_size))
