"""MMCV's policies as MMEngine's parameter schedulers.

The learning rate is the same in each iteration. MMEngine's ``LinearLR``,
``ConstantLR`` and ``PolyLR`` are at their goal in the last step before
``end``, MMCV's formulas one step later, so that ``end`` is one more than what
MMCV has. Where it counts epochs that the Runner makes iterations of, mmamp's
schedulers take their place, which are at their goal at ``end``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mmamp.migration.config.values import (
    UNKNOWN,
    Value,
    is_known,
    literal,
    mapping,
)

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


def _inverse(policy: Policy) -> list[Value]:
    return [policy.ours('Inverse', **policy.own(gamma='gamma', power='power'))]


def _step_fix_cosine(policy: Policy) -> list[Value]:
    if 'warmup' not in policy.config:
        return _cosine(policy)
    is_linear = policy.config.get('warmup') == 'linear'
    is_by_epoch = bool(policy.config.get('warmup_by_epoch'))
    if (
        not is_linear
        or policy.by_epoch.plain
        or policy.is_scaled != is_by_epoch
        or not policy.config.get('warmup_iters')
    ):
        raise NoCounterpart(
            "known is the one by iterations, with warmup='linear' that counts "
            'what the run does; near others are a LinearLR, and a '
            'CosineAnnealingLR that begins where that ends'
        )
    return [
        policy.ours_over_the_run(
            'StepFixCosine',
            warmup=policy.config['warmup_iters'],
            **policy.goal(),
        )
    ]


def _poly(policy: Policy) -> list[Value]:
    total, goal = policy.total(), policy.goal()
    arguments = {**policy.own(power='power'), **goal, 'begin': literal(0)}
    if _is_scaled_by_warmup(policy, goal):
        return [policy.ours_over_the_run('Poly', **arguments, end=total)]
    end = total if policy.is_scaled else policy.end(total)
    return [policy.over_the_run('Poly', **arguments, end=end)]


def _cosine(policy: Policy) -> list[Value]:
    total, goal = policy.run.total, policy.goal()
    if _is_scaled_by_warmup(policy, goal):
        span = {}
        if total is not None:
            span = {'begin': literal(0), 'end': policy.total()}
        return [policy.ours_over_the_run('Cosine', **goal, **span)]
    # Without T_max a scheduler spans the run, however long that is.
    span = {} if total is None else {'T_max': policy.total()}
    return [policy.over_the_run('CosineAnnealing', **span, **goal)]


def _is_scaled_by_warmup(policy: Policy, goal: dict[str, Value]) -> bool:
    """Tell whether there is a minimum that a warm-up scales.

    It does not scale that of MMEngine's schedulers, which configs that were
    written for 1.x have all the same.
    """
    if policy.ends_by_hand or 'warmup' not in policy.config:
        return False
    return any(x.plain != 0 for x in goal.values())


def _flat_cosine(policy: Policy) -> list[Value]:
    total = policy.known_total()
    begin = round(total * policy.config.get('start_percent', 0.75))
    return [_part_of_cosine(policy, begin, policy.total(), total - begin)]


def _part_of_cosine(
    policy: Policy, begin: int, end: Value, length: int, more: int = 0
) -> Value:
    """Make a cosine over a part of the run.

    Args:
        policy (Policy): Of which it is.
        begin (int): Where it begins.
        end (Value): Where it is at its goal.
        length (int): From there to there.
        more (int): Steps that MMEngine's has after that. Defaults to 0.
    """
    goal = policy.goal()
    if _is_scaled_by_warmup(policy, goal):
        return policy.ours('Cosine', **goal, begin=literal(begin), end=end)
    return policy.scheduler(
        'CosineAnnealing',
        T_max=literal(length),
        **goal,
        begin=literal(begin),
        end=literal(begin + length + more) if more else end,
    )


def _cosine_cooldown(policy: Policy) -> list[Value]:
    last = policy.known_total() - policy.config.get('cool_down_time', 10)
    ratio = policy.own(cool='cool_down_ratio').get('cool', literal(0.1))
    return [
        _part_of_cosine(policy, 0, literal(last), last, 1),
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
    if _is_scaled_by_warmup(policy, goal):
        raise NoCounterpart(
            'the warm-up scaled its minimum, which it does not in a '
            'CosineRestartLR: leave one of the two out'
        )
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
    if len(ratios) != 2 or not is_known(ratios):
        raise NoCounterpart('its target_ratio is not known here')
    if ratios[0] <= 0:
        raise NoCounterpart(
            'what is multiplied by 0 at the top of a cycle does not rise again'
        )
    one = _whole_cycle(policy)
    if one is None:
        names = 'cyclic_times step_ratio_up gamma anneal_strategy'
        return [
            policy.ours_over_the_run(
                'Cyclic',
                target_ratio=literal(tuple(ratios)),
                **policy.own(**{name: name for name in names.split()}),
            )
        ]
    more = 0 if policy.is_scaled else 1
    # Both act in the step at the top, where the second takes over.
    return [
        policy.over_the_run(
            'CosineAnnealing',
            T_max=literal(end - begin),
            eta_min_ratio=literal(ratio),
            begin=literal(begin),
            end=literal(end + more),
        )
        for ratio, begin, end in zip(ratios, (0, one[0]), one, strict=True)
    ]


def _whole_cycle(policy: Policy) -> tuple[int, int] | None:
    """Return the top and the end of a cycle that cosines can follow.

    They do if there is one, whose top is between two steps of the run.
    """
    total = policy.run.total.plain if policy.run.total else None
    part = policy.config.get('step_ratio_up', 0.4)
    if not isinstance(total, int) or not isinstance(part, (int, float)):
        return None
    is_one = policy.config.get('cyclic_times', 1) == 1
    is_wave = policy.config.get('anneal_strategy', 'cos') == 'cos'
    if not (is_one and is_wave) or 'warmup' in policy.config:
        return None
    # Of epochs the last bits do not count: 0.35 * 20 is 7.
    top = round(part * total, 9) if policy.is_scaled else int(part * total)
    if top != int(top):
        return None
    return (int(top), total) if int(top) > 0 else None


def _one_cycle(policy: Policy) -> list[Value]:
    if policy.parameter == 'Momentum':
        get = policy.config.get
        high, low = get('max_momentum', 0.95), get('base_momentum', 0.85)
        raise NoCounterpart(
            'MMEngine has no OneCycleMomentum; a step off is '
            "dict(type='mmamp.CyclicMomentum', "
            f'target_ratio=({low} / {high}, 1), '
            f'step_ratio_up={get("pct_start", 0.3)}, by_epoch=..., end=...) '
            f'with {high} as the momentum of the optimizer'
        )
    if 'warmup' in policy.config:
        raise NoCounterpart(
            'the warm-up scaled it; an OneCycleLR warms up itself, and heeds '
            'no other scheduler'
        )
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


def _linear_annealing(policy: Policy) -> list[Value]:
    goal = policy.goal()
    ratio = goal.get('eta_min_ratio')
    if ratio is None:
        plain = goal['eta_min'].plain if goal else UNKNOWN
        rates = set(policy.rates) if policy.parameter == 'LR' else set()
        if plain == 0:
            ratio = goal['eta_min']
        elif len(rates) == 1 and isinstance(plain, (int, float)):
            ratio = literal(plain / rates.pop())
        else:
            raise NoCounterpart(
                'LinearLR takes its goal as a factor, which is not known here '
                'or not the same for all optimizers'
            )
    total = policy.total()
    return [
        policy.over_the_run(
            'Linear',
            start_factor=literal(1.0),
            end_factor=ratio,
            begin=literal(0),
            end=total if policy.is_scaled else policy.end(total),
        )
    ]


def _yolox(policy: Policy) -> list[Value]:
    total = policy.total().plain
    config = policy.config
    last, warm = config.get('num_last_epochs'), config.get('warmup_iters')
    is_whole = all(isinstance(x, int) for x in (total, last, warm))
    by_epoch = config.get('warmup_by_epoch')
    is_usual = policy.is_scaled and by_epoch and config.get('warmup') == 'exp'
    if not (is_whole and is_usual) or config.get('warmup_ratio', 0.1) != 1:
        raise NoCounterpart(
            'known is the one by iterations of a run of epochs, with '
            "warmup='exp', warmup_by_epoch=True and warmup_ratio=1"
        )
    in_iterations = dict(
        by_epoch=literal(True), convert_to_iter_based=literal(True)
    )
    return [
        mapping(
            type=literal('mmdet.QuadraticWarmupLR'),
            begin=literal(0),
            end=config['warmup_iters'],
            **in_iterations,
        ),
        # What it ends at is what the last epochs have.
        mapping(
            type=literal('CosineAnnealingLR'),
            T_max=literal(total - last - warm),
            **policy.goal(),
            begin=config['warmup_iters'],
            end=literal(total - last),
            **in_iterations,
        ),
    ]


SIAMESE = [
    dict(type='step', start_lr_factor=0.2, end_lr_factor=1.0, end_epoch=5),
    dict(type='log', start_lr_factor=1.0, end_lr_factor=0.1, end_epoch=20),
]
"""What MMTracking has where a config does not say it."""


def _siamese_rpn(policy: Policy) -> list[Value]:
    parts = policy.config.get('lr_configs', SIAMESE)
    if not is_known(parts):
        raise NoCounterpart('lr_configs cannot be read here')
    start = parts[0]['start_lr_factor']
    # Multiplied once; a ConstantLR takes it back in its last step.
    found = [
        policy.scheduler(
            'Linear',
            start_factor=literal(start),
            end_factor=literal(start),
            begin=literal(0),
            end=literal(1),
        )
    ]
    begin = 0
    for part in parts:
        end = part['end_epoch']
        if part['start_lr_factor'] != start:
            raise NoCounterpart('lr_configs do not go on where they ended')
        # Of 'log' the last epoch is at the goal, of 'step' the one after.
        steps = end - begin - (part['type'] == 'log')
        ratio, start = part['end_lr_factor'] / start, part['end_lr_factor']
        found.append(
            policy.scheduler(
                'Exponential',
                gamma=literal(ratio ** (1 / steps)),
                begin=literal(begin),
                end=literal(begin + steps + 1),
            )
        )
        begin = end
    return found


def _multi_stage(policy: Policy) -> list[Value]:
    return [
        mapping(
            type=literal('mmflow.MultiStageLR'),
            by_epoch=policy.by_epoch,
            **policy.own(
                milestone_params='milestone_lrs',
                milestone_iters='milestone_iters',
                steps='steps',
                gammas='gammas',
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
    has_warmup: bool = True
    """Whether its warm-up is that of all policies."""


_GOAL = 'min_lr min_lr_ratio min_momentum min_momentum_ratio'
POLICIES = {
    'Fixed': Form(_fixed),
    'Step': Form(_step, 'step gamma min_lr min_momentum'),
    'Exp': Form(_exp, 'gamma'),
    'Inv': Form(_inverse, 'gamma power'),
    'Poly': Form(_poly, 'power min_lr'),
    'CosineAnnealing': Form(_cosine, _GOAL),
    'FlatCosineAnnealing': Form(_flat_cosine, f'{_GOAL} start_percent'),
    'CosineAnnealingCooldown': Form(
        _cosine_cooldown, f'{_GOAL} cool_down_time cool_down_ratio'
    ),
    'CosineRestart': Form(_cosine_restart, f'{_GOAL} periods restart_weights'),
    'LinearAnnealing': Form(_linear_annealing, _GOAL),
    'Cyclic': Form(
        _cyclic,
        'target_ratio cyclic_times step_ratio_up gamma anneal_strategy',
        True,
    ),
    'OneCycle': Form(
        _one_cycle,
        'max_lr total_steps pct_start anneal_strategy div_factor '
        'final_div_factor three_phase base_momentum max_momentum',
        True,
    ),
    'Linear': Form(_linear, 'start interval target_lr'),
    'Reduce': Form(
        _reduce,
        'val_metric mode factor patience threshold threshold_mode cooldown '
        'min_lr eps verbose epoch_base_valid',
    ),
    'YOLOX': Form(
        _yolox, 'min_lr min_lr_ratio num_last_epochs', has_warmup=False
    ),
    'StepFixCosineAnnealing': Form(_step_fix_cosine, _GOAL, has_warmup=False),
    'SiameseRPN': Form(_siamese_rpn, 'lr_configs'),
    'MultiStage': Form(
        _multi_stage, 'milestone_lrs milestone_iters steps gammas'
    ),
}
"""By MMCV's names, and then MMGeneration's, MMEditing's, MMDetection's,
MMSelfSup's, MMTracking's and MMFlow's."""
