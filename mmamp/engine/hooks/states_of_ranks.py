"""What each rank has of its own, in a checkpoint that one rank writes."""

from typing import Any

import torch
from mmengine.dist import (
    gather_object,
    get_rank,
    get_world_size,
    is_main_process,
)

from mmamp.checkpoint.keys import (
    BEFORE,
    MODEL_BY_RANK,
    OPTIMIZER_ATTRIBUTES,
    OPTIMIZER_BY_RANK,
    RNG_STATES,
    WINDOW,
)
from mmamp.checkpoint.parts import outline_of
from mmamp.checkpoint.primitives import to_primitives
from mmamp.compat.torch import tree_leaves
from mmamp.logging.once import LogOnce
from mmamp.utils.modules import unwrap
from mmamp.utils.protocols import RankState

from .runner_access import named_wrappers, training_rng_state

_say_once = LogOnce()

MUCH = 2**32
"""Bytes of gradients that the first rank gathers without a word."""


def gather_states(
    runner: Any, group: Any, in_parts: bool = False
) -> dict[str, Any]:
    """Gather what each rank has, on the main one.

    Args:
        runner (Runner): The runner, on all ranks.
        group (ProcessGroup, optional): To talk over.
        in_parts (bool): Whether tensors of models and optimizers are written
            by who has them, and only described to the main one. Defaults to
            False.

    Returns:
        dict: For a checkpoint; on the other ranks, empty, or with what they
        write. The main one's own tensors are those of its states, of which
        there is no second copy.
    """
    rng = training_rng_state(runner)
    own = _of_optimizers(runner), _of_model(runner)
    sent = None
    if not is_main_process():
        sent = (rng, *(outline_of(own) if in_parts else own))
    elif not in_parts:
        _tell_of_gradients(own[0])
    of_all = gather_object(sent, group=group)
    if of_all is None:
        if not in_parts:
            return {}
        none = [None] * get_rank()
        return {
            OPTIMIZER_BY_RANK: [*none, own[0]],
            MODEL_BY_RANK: [*none, own[1]],
        }
    rngs, optimizers, models = zip((rng, *own), *of_all[1:], strict=True)
    states = {RNG_STATES: list(rngs)}
    if any(models):
        states[MODEL_BY_RANK] = list(models)
    if len(optimizers) > 1:
        states[OPTIMIZER_BY_RANK] = list(optimizers)
    return states


def give_states(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Give this rank its own, not that of the rank that saved.

    Args:
        runner (Runner): The runner, which resumes.
        checkpoint (dict): Changed in place.
    """
    models = _taken(checkpoint, MODEL_BY_RANK)
    if models is not None:
        model: Any = unwrap(runner.model)
        model.load_rank_state(models)
    ranks = _taken(checkpoint, OPTIMIZER_BY_RANK)
    if ranks is None:
        return
    states = checkpoint.get('optimizer', {})
    for name, wrapper in named_wrappers(runner):
        if name not in ranks[0]:
            continue
        state = states[name] if name else states
        is_own = len(ranks) == get_world_size()
        mine = dict(ranks[get_rank() if is_own else 0][name])
        if WINDOW in mine:
            # Of FSDP2's it is all but the gradients, which are those of all.
            window = {**state.get(WINDOW, {}), **mine[WINDOW]}
            deals_out = getattr(wrapper, 'is_sharded', False)
            if 'grads' in mine[WINDOW] and (deals_out or not is_own):
                window['grads'] = _shared([rank[name] for rank in ranks])
            mine[WINDOW] = window
        if is_own:
            # Those of the rank that saved, of an optimizer that had changed.
            state.pop(OPTIMIZER_ATTRIBUTES, None)
        state.update(mine)


def _taken(checkpoint: dict[str, Any], key: str) -> Any:
    """Take out what a key holds, by its name of before too."""
    return checkpoint.pop(key, checkpoint.pop(BEFORE[key], None))


def _tell_of_gradients(own: dict[str, Any]) -> None:
    """Warn, once, of what grows with the number of ranks."""
    grads = [x.get(WINDOW, {}).get('grads', []) for x in own.values()]
    size = sum(
        x.nbytes for x in tree_leaves(grads) if isinstance(x, torch.Tensor)
    ) * (get_world_size() - 1)
    if size > MUCH:
        _say_once.warn(
            'CheckpointHook: this checkpoint is taken inside of a window of '
            'micro-batches, and the first rank gathers the gradients of '
            f'{get_world_size() - 1} others, {size / 2**30:.1f} GiB. With '
            "save_format='dcp' each writes its own; an interval that is a "
            'multiple of the window has none',
            key='gradients',
        )


def _of_optimizers(runner: Any) -> dict[str, Any]:
    """Return what each optimizer wrapper has on this rank alone, by name."""
    if get_world_size() == 1:
        return {}  # the optimizers' own states hold it
    return {
        name: wrapper.rank_state()
        for name, wrapper in named_wrappers(runner)
        if isinstance(wrapper, RankState)
    }


def _of_model(runner: Any) -> Any:
    """Return what the model has on this rank alone, if it says so."""
    model = unwrap(runner.model)
    return (
        to_primitives(model.rank_state())
        if isinstance(model, RankState)
        else None
    )


def _shared(of_ranks: list[dict[str, Any]]) -> list[torch.Tensor | None]:
    """Return the gradients that another number of ranks goes on with.

    Each with the mean: their own mean, which is what they step with, comes to
    the same.
    """
    grads = zip(*(r[WINDOW]['grads'] for r in of_ranks), strict=True)
    return [_mean_of(given) for given in grads]


def _mean_of(grads: tuple[torch.Tensor | None, ...]) -> torch.Tensor | None:
    """Where a rank has none, it is zero, as it is to DDP."""
    present = [grad for grad in grads if grad is not None]
    if not present:
        return None
    return torch.stack(present).sum(0) / len(grads)
