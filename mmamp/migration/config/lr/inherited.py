"""The ``lr_config`` that a base had before it was migrated.

A child of such a base says only what differs from it, in words of 0.x.
"""

from mmamp.migration.config.values import Value, literal, mapping

_WARMUPS = {
    'LinearLR': 'linear',
    'mmamp.LinearLrToEnd': 'linear',
    'ConstantLR': 'constant',
    'mmamp.ConstantLrToEnd': 'constant',
    'mmamp.ExponentialLrToEnd': 'exp',
}
_POLICIES = {
    'MultiStepLR': ('Step', dict(milestones='step')),
    'StepLR': ('Step', dict(step_size='step')),
    'ExponentialLR': ('Exp', {}),
    'PolyLR': ('Poly', dict(eta_min='min_lr')),
    'mmamp.PolyLrToEnd': ('Poly', dict(eta_min='min_lr')),
    'CosineAnnealingLR': (
        'CosineAnnealing',
        dict(eta_min='min_lr', eta_min_ratio='min_lr_ratio'),
    ),
    'mmamp.CosineLrToEnd': (
        'CosineAnnealing',
        dict(eta_min='min_lr', eta_min_ratio='min_lr_ratio'),
    ),
    'mmamp.CyclicLr': ('Cyclic', {}),
    'mmamp.InverseLr': ('Inv', {}),
    # Without the warm-up that is a part of it, so that it is marked.
    'mmamp.StepFixCosineLr': ('StepFixCosineAnnealing', {}),
    'CosineRestartLR': (
        'CosineRestart',
        dict(eta_min='min_lr', eta_min_ratio='min_lr_ratio'),
    ),
    'mmamp.LinearLrInterval': (
        'Linear',
        dict(begin='start', end_factor='target_lr'),
    ),
}
_OF_SCHEDULERS = (
    *('type', 'begin', 'end', 'T_max', 'convert_to_iter_based'),
    'start_factor',
)


def lr_config_of(
    schedulers: Value | None, ends_by_hand: bool = False
) -> Value | None:
    """Find what was said in 0.x to get these schedulers.

    Args:
        schedulers (Value, optional): Of the base.
        ends_by_hand (bool): Whether they end where they are at their goal.
            Defaults to False.

    Returns:
        Value: None if there are none, or others than the rule makes of one
        policy.
    """
    if schedulers is None or not schedulers.elements:
        return None
    first, *rest = schedulers.elements
    found = _warmup(first, ends_by_hand)
    if not found:
        rest = schedulers.elements
    if len(rest) > 1 or (rest and _policy_name(rest[0]) is None):
        return None
    if not rest:
        return mapping(policy=literal('Fixed'), **found)
    scheduler = rest[0]
    policy, names = _POLICIES[scheduler.get('type')]
    config = scheduler.renamed(**names).without(*_OF_SCHEDULERS)
    if scheduler.get('convert_to_iter_based'):
        config = config.with_items(by_epoch=literal(False))
    return config.with_items(policy=literal(policy), **found)


def _policy_name(scheduler: Value) -> str | None:
    name = scheduler.get('type') if scheduler.is_dict else None
    return name if name in _POLICIES else None


def _warmup(scheduler: Value, ends_by_hand: bool) -> dict[str, Value]:
    kind = _WARMUPS.get(scheduler.get('type'))
    if kind is None or scheduler.get('begin', 0) != 0:
        return {}
    if 'end_factor' in scheduler:
        # Not all the way: part of an exponential warm-up.
        return {}
    is_by_epoch = bool(scheduler.get('convert_to_iter_based'))
    end = scheduler.get('end')
    ratio = scheduler.get('start_factor', scheduler.get('factor'))
    if not isinstance(end, int) or ratio is None:
        return {}
    if not (is_by_epoch or ends_by_hand):
        end -= 1
    return dict(
        warmup=literal(kind),
        warmup_iters=literal(end),
        warmup_ratio=literal(ratio),
        warmup_by_epoch=literal(is_by_epoch),
    )
