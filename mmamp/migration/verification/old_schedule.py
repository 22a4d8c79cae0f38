"""What ``lr_config`` does to a learning rate in 0.x."""

import math
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate
from typing import Any

from .settings import CONSTANT, EPOCH, Run, Schedule


def old_schedule(
    config: dict[str, Any] | None, lr: float, run: Run
) -> Schedule:
    """Compute the learning rate that MMCV's or MMGeneration's hooks set.

    Args:
        config (dict, optional): ``lr_config``.
        lr (float): The optimizer's learning rate.
        run (Run): Of which the length counts.
    """
    policy = str((config or {}).get('policy', 'fixed')).lower()
    if config is None or policy == 'fixed':
        schedule = Schedule(CONSTANT, lambda i: lr)
    elif policy not in _POLICIES:
        return Schedule(config['policy'], None)
    else:
        by_epoch = config.get('by_epoch', run.by_epoch)
        unit = EPOCH if by_epoch else 1
        total = None if run.iterations is None else run.iterations // unit
        made = _POLICIES[policy](config, lr, total)
        if made is None:
            return Schedule(config['policy'], None)
        at, turns = made
        schedule = Schedule(
            config['policy'],
            lambda i: at(i // unit),
            tuple(x * unit for x in turns),
            slack=unit * config.get('interval', 1)
            if policy == 'linear'
            else 1,
        )
    if (config or {}).get('warmup') is None:
        return schedule
    return _warmed_up(config or {}, schedule)


_Made = tuple[Callable[[int], float], list[int]] | None


def _step(config: dict[str, Any], lr: float, total: int | None) -> _Made:
    step, gamma = config['step'], config.get('gamma', 0.1)
    least = config.get('min_lr') or 0.0
    if isinstance(step, int):
        turns = list(range(step, total or step + 1, step))
    else:
        turns = list(step)
    return lambda i: max(lr * gamma ** bisect_right(turns, i), least), turns


def _target(config: dict[str, Any], lr: float) -> float:
    ratio: float | None = config.get('min_lr_ratio')
    if ratio is not None:
        return lr * ratio
    return config.get('min_lr') or 0.0


def _cosine(begin: float, end: float, part: float) -> float:
    return end + (begin - end) * (math.cos(math.pi * part) + 1) / 2


def _cosine_annealing(
    config: dict[str, Any], lr: float, total: int | None
) -> _Made:
    if total is None:
        return None
    return lambda i: _cosine(lr, _target(config, lr), i / total), []


def _cosine_restart(
    config: dict[str, Any], lr: float, total: int | None
) -> _Made:
    periods = config['periods']
    weights = config.get('restart_weights', [1])
    ends = list(accumulate(periods))
    target = _target(config, lr)

    def at(i: int) -> float:
        k = min(bisect_right(ends, i), len(ends) - 1)
        part = (i - ends[k] + periods[k]) / periods[k]
        return _cosine(lr * weights[k], target, min(part, 1.0))

    return at, ends


def _linear(config: dict[str, Any], lr: float, total: int | None) -> _Made:
    if total is None:
        return None
    start: int = config.get('start', 0)
    interval: int = config.get('interval', 1)
    target: float = config['target_lr']
    stairs = (total - start) // interval
    if not stairs:
        return lambda i: lr, []

    def at(i: int) -> float:
        return lr + (target - lr) * (max(0, i - start) // interval) / stairs

    return at, [start]


def _poly(config: dict[str, Any], lr: float, total: int | None) -> _Made:
    if total is None:
        return None
    least, power = config.get('min_lr', 0.0), config.get('power', 1.0)
    return lambda i: (lr - least) * (1 - i / total) ** power + least, []


def _exp(config: dict[str, Any], lr: float, total: int | None) -> _Made:
    return lambda i: lr * config['gamma'] ** i, []


_POLICIES: dict[str, Callable[[dict[str, Any], float, int | None], _Made]] = {
    'step': _step,
    'cosineannealing': _cosine_annealing,
    'cosinerestart': _cosine_restart,
    'linear': _linear,
    'poly': _poly,
    'exp': _exp,
}


def _warmed_up(config: dict[str, Any], schedule: Schedule) -> Schedule:
    """Multiply what a policy gives by the factor of the warm-up."""
    kind, ratio = config['warmup'], config.get('warmup_ratio', 0.1)
    length = config.get('warmup_iters', 0)
    if config.get('warmup_by_epoch'):
        length *= EPOCH
    factors: dict[str, Callable[[int], float]] = {
        'constant': lambda i: ratio,
        'linear': lambda i: 1 - (1 - i / length) * (1 - ratio),
        'exp': lambda i: ratio ** (1 - i / length),
    }
    name = f'{schedule.name}, {kind} warm-up of {length}'
    regular = schedule.at
    if regular is None or kind not in factors:
        return Schedule(name, None)

    def at(i: int) -> float:
        return regular(i) * (factors[kind](i) if i < length else 1.0)

    turns = (*schedule.turns, length // 2, length)
    return Schedule(name, at, turns, schedule.slack)
