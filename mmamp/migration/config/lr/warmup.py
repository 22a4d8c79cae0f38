"""The warm-up of an ``lr_config`` as schedulers before its own."""

from mmamp.migration.config.values import (
    UNKNOWN,
    Value,
    derived,
    literal,
    mapping,
)

from .policy import NoCounterpart, Policy, one_more


def warmup(policy: Policy) -> list[Value]:
    """Make the schedulers that multiply the rate during the warm-up.

    Like MMCV's, MMEngine's warm-up works on top of the policy, which goes its
    way from the first iteration on.

    Raises:
        NoCounterpart: If MMEngine has none like it.
    """
    config = policy.config
    if 'warmup' not in config:
        return []
    kind = config.get('warmup')
    if policy.parameter != 'LR':
        raise NoCounterpart('MMEngine does not warm up momentum this way')
    if kind not in ('constant', 'linear', 'exp'):
        raise NoCounterpart(
            f"warmup={kind!r} is none of 'constant', 'linear' and 'exp'"
        )
    if not config.get('warmup_iters'):
        raise NoCounterpart('warmup_iters is not set')
    ratio = policy.own(ratio='warmup_ratio').get('ratio', literal(0.1))
    if ratio.plain == 1:
        # MMDetection's way to have none.
        return []
    steps = config['warmup_iters']
    is_by_epoch = bool(config.get('warmup_by_epoch'))
    if kind == 'exp':
        if is_by_epoch:
            return [_of_epochs(policy, 'Exponential', 'start_factor', ratio)]
        return _exponential(ratio, steps)
    name, factor = {
        'constant': ('Constant', 'factor'),
        'linear': ('Linear', 'start_factor'),
    }[kind]
    if is_by_epoch:
        return [_of_epochs(policy, name, factor, ratio)]
    return [
        mapping(
            type=literal(f'{name}LR'),
            **{factor: ratio},
            by_epoch=literal(False),
            begin=literal(0),
            end=policy.end(steps),
        )
    ]


def _of_epochs(policy: Policy, name: str, factor: str, ratio: Value) -> Value:
    # MMEngine has no exponential one, which would end early or not.
    is_ours = name == 'Exponential'
    kind = policy.our_kind(name) if is_ours else policy.to_end(name)
    return mapping(
        type=literal(kind),
        **{factor: ratio},
        by_epoch=literal(True),
        begin=literal(0),
        end=policy.config['warmup_iters'],
        convert_to_iter_based=literal(True),
    )


def _exponential(ratio: Value, steps: Value) -> list[Value]:
    start, number = ratio.plain, steps.plain
    if UNKNOWN in (start, number):
        raise NoCounterpart(
            'what its exponential warm-up is, is not known here'
        )
    # Multiplied once by the ratio, then step by step back.
    return [
        mapping(
            type=literal('LinearLR'),
            start_factor=ratio,
            end_factor=ratio,
            by_epoch=literal(False),
            begin=literal(0),
            end=literal(1),
        ),
        mapping(
            type=literal('ExponentialLR'),
            gamma=derived(
                ratio, f'{{}} ** (-1 / {number})', start ** (-1 / number)
            ),
            by_epoch=literal(False),
            begin=literal(0),
            end=one_more(steps),
        ),
    ]
