"""States of the random-number generators."""

import random
from typing import Any

import numpy as np
import torch

from mmamp.precision.devices import rng_states, set_rng_states

from .position import seed_at


def rng_state() -> dict[str, Any]:
    """Return the state of Python's, numpy's and torch's generators, plain.

    Returns:
        dict: Numbers, strings and tensors, so that it can be saved in a
        checkpoint that loads with ``weights_only=True``.
    """
    version, internal, gauss = random.getstate()
    legacy: Any = np.random.get_state()
    kind, keys, position, has_gauss, cached = legacy
    state = dict(
        python=[version, list(internal), gauss],
        numpy=[kind, keys.tolist(), position, has_gauss, cached],
        torch=torch.get_rng_state(),
    )
    return {**state, **rng_states()}


def set_rng_state(state: dict[str, Any]) -> None:
    """Set Python's, numpy's and torch's generators to a state.

    Args:
        state (dict): From :func:`rng_state`, possibly of another process.
    """
    version, internal, gauss = state['python']
    random.setstate((version, tuple(internal), gauss))
    kind, keys, *rest = state['numpy']
    np.random.set_state((kind, np.array(keys, np.uint32), *rest))
    torch.set_rng_state(state['torch'].cpu())
    set_rng_states(state)


def part_ranks(rank: int, iteration: int = 0) -> None:
    """Have ranks that were seeded alike draw other numbers from now on.

    Args:
        rank (int): Of this process. The first one goes on as it is, so that
            a run of one process draws what it would have drawn.
        iteration (int): Where a run goes on without the states of its
            generators: none draws again what it drew when the run began.
            Defaults to 0.
    """
    if rank == 0 and not iteration:
        return
    place = [rank, iteration] if iteration else [rank]
    seed_at([torch.initial_seed() % 2**63, *place])
    # The accelerators too, which draw what is dropped out on them.
    torch.manual_seed(torch.initial_seed())
