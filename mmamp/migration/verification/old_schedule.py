"""What ``lr_config`` and ``momentum_config`` do in 0.x."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import replace
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
    schedule = _scheduled(config, lr, run)
    if config is None or config.get('warmup') is None:
        return schedule
    if _policy(config) == 'stepfixcosineannealing':
        # It has been warmed up.
        return schedule
    warm = _warmed_up(config, schedule)
    if not _policy(config).startswith('cosine') or not run.iterations:
        return warm
    epochs = EPOCH if config.get('warmup_by_epoch') else 1
    share = config.get('warmup_iters', 0) * epochs / run.iterations
    return replace(warm, blur=_target(config, lr) * min(share, 1))


def old_momentum(
    config: dict[str, Any] | None, momentum: float, run: Run
) -> Schedule:
    """Compute the momentum that MMCV's hooks set.

    Args:
        config (dict, optional): ``momentum_config``.
        momentum (float): The optimizer's.
        run (Run): Of which the length counts.
    """
    if config is None:
        return _scheduled(None, momentum, run)
    words = {'min_momentum': 'min_lr', 'min_momentum_ratio': 'min_lr_ratio'}
    renamed = {words.get(key, key): value for key, value in config.items()}
    defaults = _OF_MOMENTUM.get(_policy(config), {})
    schedule = _scheduled({**defaults, **renamed}, momentum, run)
    if config.get('warmup') is None:
        return schedule
    return Schedule(f'{schedule.name} with a warm-up', None)


_OF_MOMENTUM: dict[str, dict[str, Any]] = {
    'step': dict(gamma=0.5),
    'cyclic': dict(target_ratio=(0.85 / 0.95, 1)),
    'onecycle': dict(max_lr=None),
}
"""In what the hooks of the momentum differ."""


def _policy(config: dict[str, Any]) -> str:
    """Return the name of a policy, whether it is said as a hook or not."""
    name = str(config.get('policy') or config.get('type', 'fixed'))
    name = name.rpartition('.')[2].removesuffix('UpdaterHook')
    return name.removesuffix('Lr').removesuffix('Momentum').lower()


def _scheduled(
    config: dict[str, Any] | None, value: float, run: Run
) -> Schedule:
    """Follow a policy, from the value that the optimizer has."""
    if config is None or _policy(config) == 'fixed':
        return Schedule(CONSTANT, lambda i: value)
    policy = _policy(config)
    name = str(config.get('policy') or config.get('type'))
    if policy not in _POLICIES:
        return Schedule(name, None)
    by_default = run.by_epoch and policy not in _OF_ITERATIONS
    unit = EPOCH if config.get('by_epoch', by_default) else 1
    total = None if run.iterations is None else run.iterations // unit
    made = _POLICIES[policy](config, value, total)
    if made is None:
        return Schedule(name, None)
    at, turns = made
    return Schedule(
        name, lambda i: at(i // unit), tuple(x * unit for x in turns), unit
    )


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


def _straight(begin: float, end: float, part: float) -> float:
    return begin + (end - begin) * part


_STRATEGIES = {'cos': _cosine, 'linear': _straight}


def _cosine_annealing(
    config: dict[str, Any], lr: float, total: int | None
) -> _Made:
    if total is None:
        return None
    return lambda i: _cosine(lr, _target(config, lr), i / total), []


def _step_fix_cosine(
    config: dict[str, Any], lr: float, total: int | None
) -> _Made:
    if config.get('warmup') is None:
        return _cosine_annealing(config, lr, total)
    if total is None or config['warmup'] != 'linear':
        return None
    begin: int = config['warmup_iters']
    if config.get('warmup_by_epoch'):
        begin *= EPOCH
    target = _target(config, lr)

    def at(i: int) -> float:
        part = (i - begin) / (total - begin)
        return _cosine(lr, target, part) * min(i / begin, 1)

    return at, [begin]


def _linear_annealing(
    config: dict[str, Any], lr: float, total: int | None
) -> _Made:
    if total is None:
        return None
    return lambda i: _straight(lr, _target(config, lr), i / total), []


def _flat_cosine(
    config: dict[str, Any], lr: float, total: int | None
) -> _Made:
    if total is None:
        return None
    start = round(total * config.get('start_percent', 0.75))
    target = _target(config, lr)

    def at(i: int) -> float:
        return _cosine(lr, target, max(0, i - start) / (total - start))

    return at, [start]


def _cosine_cooldown(
    config: dict[str, Any], lr: float, total: int | None
) -> _Made:
    if total is None:
        return None
    last = total - config.get('cool_down_time', 10)
    target = _target(config, lr)
    ratio: float = config.get('cool_down_ratio', 0.1)

    def at(i: int) -> float:
        if i > last:
            return target * ratio
        return _cosine(lr, target, i / last)

    return at, [last, last + 1]


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
        return _cosine(
            target + weights[k] * (lr - target), target, min(part, 1.0)
        )

    return at, ends


def _cyclic(config: dict[str, Any], lr: float, total: int | None) -> _Made:
    if total is None:
        return None
    ratios = config.get('target_ratio', (10, 1e-4))
    first, *others = ratios if isinstance(ratios, (list, tuple)) else [ratios]
    last = others[0] if others else first / 1e5
    length = total // config.get('cyclic_times', 1)
    top = int(config.get('step_ratio_up', 0.4) * length)
    anneal = _STRATEGIES[config.get('anneal_strategy', 'cos')]

    def at(i: int) -> float:
        cycle, step = divmod(i, length)
        # Later cycles may be lower.
        high = 1 + (first - 1) * config.get('gamma', 1) ** cycle
        if step < top:
            return anneal(lr, lr * high, step / top)
        part = (step - top) / (length - top)
        return anneal(lr * high, lr * last, part)

    turns = [x + y for x in range(0, total, length) for y in (0, top)]
    return at, turns


def _one_cycle(config: dict[str, Any], lr: float, total: int | None) -> _Made:
    high = config.get('max_lr')
    if total is None or not isinstance(high, (int, float)):
        return None
    steps = config.get('total_steps') or total
    low = high / config.get('div_factor', 25)
    least = low / config.get('final_div_factor', 1e4)
    part = config.get('pct_start', 0.3) * steps
    values, ends = [low, high, least], [0.0, part - 1, steps - 1]
    if config.get('three_phase'):
        values, ends = [low, high, low, least], [*ends[:2], 2 * part - 2]
        ends.append(steps - 1)
    anneal = _STRATEGIES[config.get('anneal_strategy', 'cos')]

    def at(i: int) -> float:
        k = min(max(bisect_left(ends, i), 1), len(ends) - 1)
        along = (i - ends[k - 1]) / (ends[k] - ends[k - 1])
        return anneal(values[k - 1], values[k], along)

    return at, [int(x) for x in ends[1:]]


def _linear(config: dict[str, Any], lr: float, total: int | None) -> _Made:
    if total is None:
        return None
    start: int = config.get('start', 0)
    interval: int = config.get('interval', 1)
    target: float = config.get('target_lr', 0)
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


def _inv(config: dict[str, Any], lr: float, total: int | None) -> _Made:
    gamma, power = config['gamma'], config.get('power', 1.0)
    return lambda i: lr * (1 + gamma * i) ** -power, []


_POLICIES: dict[str, Callable[[dict[str, Any], float, int | None], _Made]] = {
    'step': _step,
    'cosineannealing': _cosine_annealing,
    'stepfixcosineannealing': _step_fix_cosine,
    'linearannealing': _linear_annealing,
    'flatcosineannealing': _flat_cosine,
    'cosineannealingcooldown': _cosine_cooldown,
    'cosinerestart': _cosine_restart,
    'cyclic': _cyclic,
    'onecycle': _one_cycle,
    'linear': _linear,
    'poly': _poly,
    'exp': _exp,
    'inv': _inv,
}
_OF_ITERATIONS = ('cyclic', 'onecycle')
"""Policies that count iterations, whatever the run does."""


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
    return Schedule(name, at, turns, schedule.step)
