"""MMCV's policies as MMEngine's parameter schedulers.

The learning rate is the same in each iteration. MMEngine's ``LinearLR``,
``ConstantLR`` and ``PolyLR`` are at their goal in the last step before
``end``, MMCV's formulas one step later, so that ``end`` is one more than what
MMCV has; but where it counts epochs that the Runner makes iterations of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mmamp.migration.config.values import UNKNOWN, Value, literal, mapping

from .policy import NoCounterpart, Policy, one_more


def _fixed(policy: Policy) -> list[Value]:
    return []


def _step(policy: Policy) -> list[Value]:
    for name in ('min_lr', 'min_momentum'):
        if name in policy.config:
            raise NoCounterpart(f'MMEngine has no {name} for steps')
    if 'step' not in policy.config:
        raise NoCounterpart('it does not say at which steps')
    default = literal(0.1 if policy.parameter == 'LR' else 0.5)
    gamma = policy.own(gamma='gamma') or {'gamma': default}
    step = policy.config['step']
    if isinstance(step.plain, int):
        return [policy.scheduler('Step', step_size=step, **gamma)]
    return [policy.scheduler('MultiStep', milestones=step, **gamma)]


def _exp(policy: Policy) -> list[Value]:
    return [policy.scheduler('Exponential', **policy.own(gamma='gamma'))]


def _poly(policy: Policy) -> list[Value]:
    return [
        policy.over_the_run(
            'Poly',
            **policy.own(power='power'),
            **policy.goal(),
            begin=literal(0),
            end=_end_of_run(policy),
        )
    ]


def _end_of_run(policy: Policy) -> Value:
    total = policy.total()
    return total if policy.is_scaled else policy.end(total)


def _cosine(policy: Policy) -> list[Value]:
    # Without T_max a scheduler spans the run, however long that is.
    span = {}
    if policy.run.total is not None:
        span = {'T_max': policy.total()}
    return [policy.over_the_run('CosineAnnealing', **span, **policy.goal())]


def _flat_cosine(policy: Policy) -> list[Value]:
    total = policy.known_total()
    begin = round(total * policy.config.get('start_percent', 0.75))
    return [
        policy.scheduler(
            'CosineAnnealing',
            T_max=literal(total - begin),
            **policy.goal(),
            begin=literal(begin),
            end=policy.total(),
        )
    ]


def _cosine_cooldown(policy: Policy) -> list[Value]:
    last = policy.known_total() - policy.config.get('cool_down_time', 10)
    ratio = policy.own(cool='cool_down_ratio').get('cool', literal(0.1))
    return [
        policy.scheduler(
            'CosineAnnealing',
            T_max=literal(last),
            **policy.goal(),
            begin=literal(0),
            end=literal(last + 1),
        ),
        # Once multiplied; a ConstantLR takes it back in its last step.
        policy.scheduler(
            'Linear',
            start_factor=ratio,
            end_factor=ratio,
            begin=literal(last + 1),
            end=literal(last + 2),
        ),
    ]


def _cosine_restart(policy: Policy) -> list[Value]:
    arguments = policy.own(
        periods='periods', restart_weights='restart_weights'
    )
    goal = policy.goal()
    weights = policy.config.get('restart_weights', [1])
    is_zero = all(x.plain == 0 for x in goal.values())
    if not is_zero and any(x != 1 for x in _listed(weights)):
        policy.warnings.append(
            'a restart weight w gave w * (lr - min_lr) + min_lr to begin '
            'with; MMEngine begins with w * lr'
        )
    return [policy.scheduler('CosineRestart', **arguments, **goal)]


def _cyclic(policy: Policy) -> list[Value]:
    default = (10, 1e-4) if policy.parameter == 'LR' else (0.85 / 0.95, 1)
    ratios = policy.config.get('target_ratio', default)
    ratios = _listed(ratios) if ratios is not UNKNOWN else [UNKNOWN]
    if len(ratios) == 1 and isinstance(ratios[0], (int, float)):
        ratios = [ratios[0], ratios[0] / 1e5]
    total = policy.total().plain
    times = policy.config.get('cyclic_times', 1)
    is_other = policy.config.get('gamma', 1) != 1 or (
        policy.config.get('anneal_strategy', 'cos') != 'cos'
    )
    if not isinstance(total, int):
        raise NoCounterpart('the length of the run is not known here')
    part = policy.config.get('step_ratio_up', 0.4) * total
    # Of iterations a whole number, as MMCV counts; of epochs a part too.
    top = _tidy(part) if policy.is_scaled else int(part)
    more = 0 if policy.is_scaled else 1
    if is_other or times != 1 or not 0 < top < total or len(ratios) != 2:
        raise NoCounterpart(
            'MMEngine has no cycles; one of them would be two '
            f'CosineAnnealing{policy.parameter}'
        )
    # Both act in the step at the top, where the second takes over.
    return [
        policy.over_the_run(
            'CosineAnnealing',
            T_max=literal(_tidy(end - begin)),
            eta_min_ratio=literal(ratio),
            begin=literal(begin),
            end=literal(end + more),
        )
        for ratio, begin, end in zip(
            ratios, (0, top), (top, total), strict=True
        )
    ]


def _tidy(number: float) -> float:
    """Round what is a whole number but for the last bits."""
    rounded = round(number, 9)
    return int(rounded) if rounded == int(rounded) else rounded


def _one_cycle(policy: Policy) -> list[Value]:
    if policy.parameter == 'Momentum':
        raise NoCounterpart('MMEngine has no OneCycleMomentum')
    names = 'pct_start anneal_strategy div_factor final_div_factor three_phase'
    if not isinstance(policy.config.get('max_lr'), (int, float)):
        raise NoCounterpart(
            'max_lr is no number; MMEngine takes one, or a list with an item '
            'for every group of parameters and one for the wrapper'
        )
    steps = policy.own(total_steps='total_steps') or {
        'total_steps': policy.total()
    }
    return [
        policy.over_the_run(
            'OneCycle',
            **policy.own(eta_max='max_lr'),
            **steps,
            **policy.own(**{name: name for name in names.split()}),
        )
    ]


def _linear(policy: Policy) -> list[Value]:
    start = policy.own(start='start').get('start', literal(0))
    total = policy.total()
    if start.plain == total.plain is not UNKNOWN:
        return []
    goal = policy.config.get('target_lr', 0)
    if policy.is_scaled:
        raise NoCounterpart(
            'it counts iterations, but the length of the run is in epochs'
        )
    if goal == 0 and policy.config.get('interval', 1) == 1:
        return [
            policy.scheduler(
                'Linear',
                start_factor=literal(1.0),
                end_factor=literal(0.0),
                begin=start,
                end=one_more(total),
            )
        ]
    return [
        mapping(
            type=literal('mmamp.LinearLrInterval'),
            **policy.own(interval='interval'),
            by_epoch=policy.by_epoch,
            start_factor=literal(1.0),
            end_factor=_end_factor(policy),
            begin=start,
            end=total,
        )
    ]


def _end_factor(policy: Policy) -> Value:
    """Return the target as a factor on the learning rate at first."""
    target = policy.config.get('target_lr', 0)
    if target == 0:
        return policy.own(target='target_lr').get('target', literal(0))
    rates = set(policy.rates)
    if len(rates) != 1 or not isinstance(target, (int, float)):
        raise NoCounterpart(
            f'target_lr={target!r} is a learning rate; LinearLrInterval takes '
            'the factor to it, which is not the same for all optimizers, or '
            'not known'
        )
    return literal(target / rates.pop())


def _reduce(policy: Policy) -> list[Value]:
    if 'val_metric' not in policy.config:
        raise NoCounterpart(
            'it follows the training loss; ReduceOnPlateauLR follows a metric '
            'of the validation'
        )
    rules = {'min': 'less', 'max': 'greater'}
    mode = policy.config.get('mode', 'min')
    if mode not in rules:
        raise NoCounterpart(f"mode={mode!r} is neither 'min' nor 'max'")
    policy.warnings.append(
        'monitor has to be the name under which val_evaluator reports the '
        'metric, with its prefix if it has one'
    )
    return [
        mapping(
            type=literal('ReduceOnPlateauLR'),
            **policy.own(monitor='val_metric'),
            rule=literal(rules[mode]),
            **policy.own(
                factor='factor',
                patience='patience',
                threshold='threshold',
                threshold_rule='threshold_mode',
                cooldown='cooldown',
                min_value='min_lr',
                eps='eps',
                verbose='verbose',
            ),
        )
    ]


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


@dataclass(frozen=True)
class Form:
    """How a policy is converted, and what arguments it may have."""

    convert: Callable[[Policy], list[Value]]
    arguments: str = ''
    is_by_iteration: bool = False
    """Whether it counts iterations whatever the runner does."""


_GOAL = 'min_lr min_lr_ratio min_momentum min_momentum_ratio'
POLICIES = {
    'Fixed': Form(_fixed),
    'Step': Form(_step, 'step gamma min_lr min_momentum'),
    'Exp': Form(_exp, 'gamma'),
    'Poly': Form(_poly, 'power min_lr'),
    'CosineAnnealing': Form(_cosine, _GOAL),
    'FlatCosineAnnealing': Form(_flat_cosine, f'{_GOAL} start_percent'),
    'CosineAnnealingCooldown': Form(
        _cosine_cooldown, f'{_GOAL} cool_down_time cool_down_ratio'
    ),
    'CosineRestart': Form(_cosine_restart, f'{_GOAL} periods restart_weights'),
    'Cyclic': Form(
        _cyclic,
        'target_ratio cyclic_times step_ratio_up gamma anneal_strategy',
        True,
    ),
    'OneCycle': Form(
        _one_cycle,
        'max_lr total_steps pct_start anneal_strategy div_factor '
        'final_div_factor three_phase',
        True,
    ),
    'Linear': Form(_linear, 'start interval target_lr'),
    'Reduce': Form(
        _reduce,
        'val_metric mode factor patience threshold threshold_mode cooldown '
        'min_lr eps verbose epoch_base_valid',
    ),
}
"""By MMCV's names; the last two are MMGeneration's and MMEditing's."""
