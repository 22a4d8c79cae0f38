"""Checkpoints of other models, which MMEngine only warns of."""

import logging
from typing import Any

from mmengine.logging import print_log
from mmengine.runner.checkpoint import get_state_dict
from torch import nn

from mmamp.checkpoint.fit import misfits, such_as
from mmamp.checkpoint.optimizer_fit import missing_of, saved_type
from mmamp.checkpoint.primitives import without_wrapper
from mmamp.compat.mmengine import loaded_from
from mmamp.utils.modules import unwrap

from .runner_access import named_wrappers


def tell_what_is_not_loaded(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Count and name the weights that a run begins without.

    Args:
        runner (Runner): That begins with them, and resumes nothing.
        checkpoint (dict): A checkpoint, or the weights alone.
    """
    own = _own_state(runner)
    given = without_wrapper(checkpoint.get('state_dict', checkpoint))
    lost = [
        one
        for one in misfits(own, given)
        if one.given or not one.name.endswith('num_batches_tracked')
    ]
    if lost:
        print_log(
            f'load_from: {len(lost)} of {len(own)} weights of the model are '
            f'not in {_path(runner)}, or in another shape, and stay as '
            f'initialized: {such_as(lost)}'
            + (', ...' if len(lost) > 3 else ''),
            logger='current',
            level=logging.WARNING,
        )


def check_resumed(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Refuse to resume from a checkpoint of another model or optimizer.

    Args:
        runner (Runner): Its model and optimizers built.
        checkpoint (dict): Of which nothing is loaded yet.

    Raises:
        ValueError: If it has nothing of one of the networks, parameters of
            other shapes, or the state of another optimizer.
    """
    path = _path(runner)
    own = _own_state(runner)
    given = without_wrapper(checkpoint['state_dict'])
    saved = {name.partition('.')[0] for name in given}
    missing = [n for n in _first_names(own) if n not in saved]
    if missing:
        raise ValueError(
            f'{path} is of another model: it has nothing of '
            f'{", ".join(missing)}, but {", ".join(sorted(saved))}'
        )
    # A module may load a buffer of any shape.
    params = {k: v for k, v in own.items() if isinstance(v, nn.Parameter)}
    wrong = [one for one in misfits(params, given) if one.given]
    if wrong:
        raise ValueError(
            f'{path} is of another model: {len(wrong)} of {len(params)} '
            f'parameters have other shapes, such as {such_as(wrong)}; resume '
            f'with the config that it was trained with. {_weights_alone(path)}'
        )
    states = checkpoint.get('optimizer', {})
    for name, wrapper in named_wrappers(runner):
        state = states.get(name, {}) if name else states
        if 'param_groups' in state:
            type_ = saved_type(checkpoint.get('meta', {}), name)
            _check_optimizer(path, name, wrapper.optimizer, state, type_)


def _check_optimizer(
    path: str, name: str, optimizer: Any, state: Any, type_: str | None
) -> None:
    name = name or 'optim_wrapper'
    then = [len(group['params']) for group in state['param_groups']]
    now = [len(group['params']) for group in optimizer.param_groups]
    if then != now:
        raise ValueError(
            f'{path} is of another model or optimizer: {name} has groups of '
            f'{now} parameters, and had groups of {then}'
        )
    if missing := missing_of(optimizer, state):
        raise ValueError(
            f'{path} is of another optimizer: {name} has '
            f'{type(optimizer).__name__}, and was saved by '
            f'{type_ or "another one"}, whose state has no '
            f'{", ".join(missing)}; resume with the optimizer that it was '
            f'trained with. {_weights_alone(path)}'
        )


def _weights_alone(path: str) -> str:
    return (
        'To begin a new run with its weights, leave out --resume and give '
        f'--cfg-options load_from={path}'
    )


def _path(runner: Any) -> str:
    return loaded_from(runner) or 'the checkpoint'


def _own_state(runner: Any) -> dict[str, Any]:
    state: dict[str, Any] = get_state_dict(
        unwrap(runner.model), keep_vars=True
    )
    return state


def _first_names(state: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(name.partition('.')[0] for name in state))
