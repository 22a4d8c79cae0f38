"""Random numbers as a function of where the run is."""

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.logging import MessageHub


def run_seed() -> int:
    """The seed of the run that is going on.

    MMEngine's Runner leaves it in the message hub; outside of a Runner it is
    torch's.
    """
    seed = MessageHub.get_current_instance().get_info('seed')
    return torch.initial_seed() if seed is None else int(seed)


def random_generator(
    device: torch.device | str, *position: int
) -> torch.Generator:
    """A generator seeded by the run's seed, the rank and a position.

    Two ranks never draw the same numbers, whatever ``randomness`` says; a
    resumed run draws what it would have drawn, with no state to save.

    Args:
        device (torch.device or str): Where the numbers are drawn.
        *position (int): Any non-negative integers, such as which network is
            being trained and the index of its micro-batch.

    Returns:
        torch.Generator: Fresh, to be passed on as ``generator=``.
    """
    entropy = (run_seed() % 2**63, get_rank(), *position)
    seed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
    return torch.Generator(device).manual_seed(int(seed >> np.uint64(1)))
