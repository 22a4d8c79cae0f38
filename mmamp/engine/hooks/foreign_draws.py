"""What other people's hooks draw, kept apart from training."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from mmengine.hooks import Hook

from mmamp.precision.devices import rng_states, set_rng_states
from mmamp.randomness.position import seed_at
from mmamp.randomness.samples import run_seed
from mmamp.randomness.state import rng_state, set_rng_state
from mmamp.randomness.watch import preserved
from mmamp.utils.protocols import KeepsRng

STAGES = (
    'before_train_epoch',
    'before_train_iter',
    'after_train_iter',
    'after_train_epoch',
    'before_save_checkpoint',
)
"""Of a hook, in training; validation is kept apart as a whole."""
_DRAW_NOTHING = ('mmengine', 'mmamp')


def part_hooks(runner: Any, keeper: KeepsRng) -> list[str]:
    """Have other people's hooks draw random numbers of their own.

    What a hook draws becomes a function of the run's seed, of the hook and of
    the iteration, the same on all ranks, and training's generators are put
    back after it: a hook that draws once, at its first call, would else have
    a resumed run draw other numbers than one that was not stopped. A hook
    that seeds torch keeps what it has done.

    Args:
        runner (Runner): With all its hooks.
        keeper (KeepsRng): Has training's states for a checkpoint that such a
            hook takes.

    Returns:
        list[str]: Classes of the hooks that have become so.
    """
    found = []
    for index, hook in enumerate(runner.hooks):
        if type(hook).__module__.partition('.')[0] in _DRAW_NOTHING:
            continue
        stages = [
            stage
            for stage in STAGES
            if getattr(type(hook), stage) is not getattr(Hook, stage)
            and stage not in vars(hook)
        ]
        for stage in stages:
            place = index, STAGES.index(stage)
            given = getattr(hook, stage)
            setattr(hook, stage, partial(_call_apart, given, place, keeper))
        if stages:
            found.append(type(hook).__name__)
    return found


def _call_apart(
    given: Callable[..., Any],
    place: tuple[int, int],
    keeper: KeepsRng,
    runner: Any,
    *args: Any,
    **kwargs: Any,
) -> None:
    """Call a hook with generators that are not training's."""
    accelerators = rng_states()
    seeded = None
    outside = keeper.rng_outside
    with preserved() as put_back:
        keeper.rng_outside = outside or partial(
            _outside, put_back, accelerators
        )
        seed_at([run_seed() % 2**63, runner.iter, *place])
        seed = torch.initial_seed()
        if accelerators:
            torch.manual_seed(seed)
        try:
            given(runner, *args, **kwargs)
        finally:
            keeper.rng_outside = outside
            if torch.initial_seed() != seed:
                seeded = rng_state()
            set_rng_states(accelerators)
    if seeded is not None:
        set_rng_state(seeded)


def _outside(
    put_back: Callable[[], AbstractContextManager[None]],
    accelerators: dict[str, Any],
) -> dict[str, Any]:
    """Return the states of before a hook was called."""
    with put_back():
        return {**rng_state(), **accelerators}
