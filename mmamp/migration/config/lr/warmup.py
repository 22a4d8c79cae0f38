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
        return _exponential(ratio, steps, is_by_epoch)
    name, factor = {
        'constant': ('Constant', 'factor'),
        'linear': ('Linear', 'start_factor'),
    }[kind]
    if is_by_epoch:
        return [
            mapping(
                type=literal(policy.to_end(name)),
                **{factor: ratio},
                by_epoch=literal(True),
                begin=literal(0),
                end=steps,
                convert_to_iter_based=literal(True),
            )
        ]
    return [
        mapping(
            type=literal(f'{name}LR'),
            **{factor: ratio},
            by_epoch=literal(False),
            begin=literal(0),
            end=policy.end(steps),
        )
    ]


def _exponential(ratio: Value, steps: Value, is_by_epoch: bool) -> list[Value]:
    start, number = ratio.plain, steps.plain
    if is_by_epoch or UNKNOWN in (start, number):
        raise NoCounterpart(
            'how many iterations the exponential warm-up has is not known '
            'before the run'
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
