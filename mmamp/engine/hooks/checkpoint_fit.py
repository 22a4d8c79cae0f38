"""Checkpoints of other models, which MMEngine only warns of."""

import logging
from typing import Any

from mmengine.logging import print_log
from mmengine.runner.checkpoint import get_state_dict
from torch import nn

from mmamp.checkpoint.fit import misfits, such_as
from mmamp.checkpoint.optimizer_fit import missing_of, saved_type
from mmamp.checkpoint.primitives import to_primitives, without_wrapper
from mmamp.checkpoint.settings import Difference, differences, settings_of
from mmamp.compat.mmengine import loaded_from
from mmamp.utils.listing import listed
from mmamp.utils.modules import unwrap

from .checkpoint_content import text_of
from .runner_access import named_wrappers, strategy_of

KERNELS = ('fused', 'foreach')
"""Settings of an optimizer that are this run's, whatever it loads."""
SHOWN = 3
"""Names of weights in a message."""
LONGEST = 100
"""Letters of a value in a message."""


def tell_what_is_not_loaded(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Count and name the weights that a run begins without.

    Args:
        runner (Runner): That begins with them, and resumes nothing.
        checkpoint (dict): A checkpoint, or the weights alone.

    Raises:
        ValueError: If it would begin without any.
    """
    own = _own_state(runner)
    given = without_wrapper(checkpoint.get('state_dict', checkpoint))
    lost = [
        one
        for one in misfits(own, given)
        if one.given or not one.name.endswith('num_batches_tracked')
    ]
    if not lost:
        return
    names = {one.name for one in lost}
    # A number, such as a count of steps, fits into any model's.
    if names >= {k for k, v in own.items() if _numel(v) > 1}:
        first = listed(list(given), SHOWN) or 'nothing'
        raise ValueError(
            f'load_from: {_path(runner)} is of another model: none of the '
            f'{len(own)} weights is in it under the name and in the shape '
            f'that the model has, such as {such_as(lost)}; it holds {first}. '
            'Give a checkpoint of this model, or leave load_from out'
        )
    print_log(
        f'load_from: {len(lost)} of {len(own)} weights of the model are '
        f'not in {_path(runner)}, or in another shape, and stay as '
        f'initialized: {such_as(lost)}' + (', ...' if len(lost) > 3 else ''),
        logger='current',
        level=logging.WARNING,
    )


def _numel(value: Any) -> int:
    return value.numel() if hasattr(value, 'numel') else 0


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
    _check_schedulers(path, runner, checkpoint.get('param_schedulers'))


def _check_schedulers(path: str, runner: Any, saved: Any) -> None:
    """Refuse states of other schedules, which MMEngine would load."""
    own = getattr(strategy_of(runner) or runner, 'param_schedulers', None)
    if not saved or not own:
        return
    saved, own = _by_name(saved), _by_name(own)
    for name, schedulers in own.items():
        if name not in saved or not all(
            map(_is_state_of, saved[name], schedulers)
        ):
            where = f'param_scheduler of {name}' if name else 'param_scheduler'
            raise ValueError(
                f'{path} is of another {where}, from whose state that of the '
                'config cannot go on: resume with the one that it was '
                f'trained with. {_weights_alone(path)}'
            )


def _by_name(schedulers: Any) -> dict[str, Any]:
    return schedulers if isinstance(schedulers, dict) else {'': schedulers}


def _is_state_of(state: dict[str, Any], scheduler: Any) -> bool:
    """Tell by what it keeps, since a schedule's class is not saved."""
    own = scheduler.state_dict()
    names = {k for k in {*own} ^ {*state} if k[0] != '_'}
    return not any(name in state or _is_saved(own[name]) for name in names)


def _is_saved(value: Any) -> bool:
    """Tell whether checkpoints hold a value, which may be a method."""
    try:
        to_primitives(value)
    except TypeError:
        return False
    return True


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


def tell_other_settings(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Warn of settings that are others than the checkpoint was trained with.

    Those of an optimizer and of schedules come with its state.

    Args:
        runner (Runner): That resumes.
        checkpoint (dict): That it resumes from.
    """
    saved = settings_of(checkpoint.get('meta', {}).get('cfg'))
    if 'optim_wrapper' not in saved:
        return  # nobody knows
    found = [
        one
        for one in differences(saved, settings_of(text_of(runner.cfg)))
        if not _is_of_precision(one.key)
    ]
    if not found:
        return
    path = _path(runner)
    groups = _settings_in_groups(checkpoint.get('optimizer', {}))
    stay = [one for one in found if _comes_with_state(one, groups)]
    lines = [f'{path} was trained with other settings than the config has:']
    lines += [
        f'{one.key}: stays {_short(one.saved)}, as in the checkpoint; the '
        f'config has {_short(one.own)}'
        if one in stay
        else f'{one.key}: is {_short(one.own)} now, as in the config; the '
        f'checkpoint has {_short(one.saved)}'
        for one in found
    ]
    if stay:
        lines.append(
            'What stays belongs to the state that a resumed run goes on from. '
            f'{_weights_alone(path)}'
        )
    if back := [one for one in found if one not in stay and one.is_simple]:
        given = ' '.join(f'{one.key}={one.saved}' for one in back)
        lines.append(f'To go on as before, give --cfg-options {given}')
    print_log('\n    '.join(lines), logger='current', level=logging.WARNING)


def _is_of_precision(key: str) -> bool:
    """Tell whether a setting is of a wrapper, whose precision is logged."""
    *above, name = key.split('.')
    is_of_wrapper = above[:1] == ['optim_wrapper'] and 'optimizer' not in above
    return is_of_wrapper and name in ('type', 'dtype', 'constructor')


def _comes_with_state(one: Difference, groups: set[str]) -> bool:
    """Tell whether a setting is one that loading replaces."""
    top, *rest = one.key.split('.')
    if top in ('param_scheduler', 'auto_scale_lr'):
        # Where there is but one, it is not loaded.
        return 'none' not in (one.saved, one.own)
    if top != 'optim_wrapper' or rest[-1] in (*KERNELS, 'type'):
        return False
    if {'paramwise_cfg', 'param_groups'} & {*rest}:
        return True
    return rest[-1] == 'init_scale' or (
        'optimizer' in rest and rest[-1] in groups
    )


def _settings_in_groups(states: dict[str, Any]) -> set[str]:
    """Name what optimizers keep of their settings."""
    all_states = [states] if 'param_groups' in states else states.values()
    return {
        name
        for state in all_states
        if isinstance(state, dict)
        for group in state.get('param_groups', ())
        for name in group
    }


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f'{text[:LONGEST]} ...'


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
