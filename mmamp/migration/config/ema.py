"""``ExponentialMovingAverageHook`` becomes a model's ``ema_config``.

In 0.x the momentum was the weight of the average, in 1.x it is that of what
is new. In 0.x a hook counted iterations; a model of 1.x counts the
generator's updates.
"""

from decimal import Decimal

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import (
    UNKNOWN,
    Value,
    derived,
    literal,
    mapping,
)

HOOK = 'ExponentialMovingAverageHook'
_KNOWN = {
    *('type', 'module_keys', 'interp_mode', 'interp_cfg', 'interval'),
    *('start_iter', 'momentum_policy', 'momentum_cfg', 'priority'),
}


class NotConverted(Exception):
    """An average that 1.x cannot have in this way."""


def networks_of(hook: Value) -> list[str]:
    """Return the names of what the hook has averages of."""
    keys = hook.get('module_keys')
    return [keys] if isinstance(keys, str) else list(keys or [])


def ema_config(context: Context, hook: Value) -> Value:
    """Make the arguments of a model's average.

    Raises:
        NotConverted: If there is no such average in 1.x.
    """
    calls = _calls_per_turn(context)
    arguments = _average(context, hook)
    interval = _in_updates(context, hook, 'interval', calls)
    if interval is not None and interval.plain != 1:
        arguments['interval'] = interval
    start = _in_updates(context, hook, 'start_iter', calls)
    if start is not None and start.plain != 0:
        arguments['start_iter'] = start
    return mapping(**arguments)


def ema_hook(context: Context, hook: Value) -> Value:
    """Make the hook that averages a whole model, one that is no GAN.

    Raises:
        NotConverted: If there is no such average in 1.x.
    """
    arguments = _average(context, hook)
    average = arguments.pop('type', None)
    if average is not None:
        arguments['ema_type'] = average
    if hook.get('interval', 1) != 1:
        arguments['interval'] = hook['interval']
    if hook.get('start_iter', 0) != 0:
        arguments['begin_iter'] = hook['start_iter']
    context.warned(
        hook,
        'mmamp.EMAHook averages the whole model, and validates and saves the '
        f'average; the model no longer needs {", ".join(networks_of(hook))}',
    )
    return mapping(type=literal('mmamp.EMAHook'), **arguments)


def of_mmagic(context: Context, hook: Value) -> Value:
    """Convert the hook for MMagic's models, those with ``is_use_ema``.

    Its momentum is the other one too; no average is made with one of a half
    or more, so that it tells which of the two a config means.
    """
    old = hook.child('interp_cfg') or mapping()
    momentum = old.get('momentum')
    if not isinstance(momentum, (int, float)) or momentum < 0.5:
        return hook
    new = old.with_items(
        **{
            key: _weight_of_new(old[key])
            for key in ('momentum', 'momentum_nontrainable')
            if key in old
        }
    )
    context.changed(hook, 'its momentum is the weight of what is new now')
    return hook.with_items(interp_cfg=new)


def _average(context: Context, hook: Value) -> dict[str, Value]:
    """Convert which average there is, and how fast it follows."""
    unknown = [x for x in hook.items or {} if x not in _KNOWN]
    if unknown:
        raise NotConverted(f'{", ".join(unknown)}: not known')
    interval = hook.get('interval', -1)
    if isinstance(interval, int) and interval < 1:
        raise NotConverted(
            f'with interval={interval} the average was never updated'
        )
    policy = hook.get('momentum_policy', 'fixed')
    if policy == 'rampup':
        context.warned(
            hook, 'RampUpEMA is an average that MMagic has and mmamp has not'
        )
        given = hook['momentum_cfg'].items if 'momentum_cfg' in hook else {}
        return {'type': literal('RampUpEMA'), **(given or {})}
    if policy != 'fixed':
        raise NotConverted(f'no momentum_policy {policy!r} is known')
    settings = hook['interp_cfg'] if 'interp_cfg' in hook else mapping()
    if not settings.is_dict:
        settings = mapping()
    momentum = settings.items.get('momentum') if settings.items else None
    arguments = {'momentum': _weight_of_new(momentum or literal(0.999))}
    buffers = settings.get('momentum_nontrainable', 0)
    if buffers:
        arguments['update_buffers'] = literal(True)
        if buffers != settings.get('momentum', 0.999):
            context.warned(
                settings['momentum_nontrainable'],
                'buffers had a momentum of their own; they have that of the '
                'parameters now',
            )
    return arguments


def _weight_of_new(momentum: Value) -> Value:
    plain = momentum.plain
    weight: object = UNKNOWN
    if isinstance(plain, (int, float)):
        # 1 - 0.9999 in binary would be 9.999999999998899e-05.
        weight = float(1 - Decimal(repr(plain)))
    return derived(momentum, '1. - {}', weight)


def _in_updates(
    context: Context, hook: Value, name: str, calls: int
) -> Value | None:
    """Convert a number of iterations to one of the generator's updates."""
    if name not in hook:
        return None
    value = hook[name]
    plain = value.plain
    if calls == 1:
        return value
    if not isinstance(plain, int):
        raise NotConverted(
            f'{name} counted iterations, of which the generator has an update '
            f'in every {calls}; what it is, is not known here'
        )
    if plain % calls and name == 'interval':
        context.warned(
            value,
            f'interval={plain} counted iterations, of which the generator is '
            f'updated in every {calls}: the average follows every update '
            'now, and followed the same weights more than once then',
        )
    updates = max(plain // calls, 1 if name == 'interval' else 0)
    return Value(updates, line=value.line)


def _calls_per_turn(context: Context) -> int:
    """Count the iterations from one turn of the generator to the next."""
    for keys in (('train_cfg',), ('model', 'train_cfg')):
        old = context.get(*keys, 'disc_steps')
        if old is not None and isinstance(old.plain, int):
            # In 0.x it counted calls, whatever was accumulated.
            return max(old.plain, 1)
    steps = _number(context, 'model', 'discriminator_steps')
    counts = _number(
        context, 'optim_wrapper', 'discriminator', 'accumulative_counts'
    )
    return steps * counts


def _number(context: Context, *keys: str) -> int:
    found = context.get(*keys)
    plain = None if found is None else found.plain
    return plain if isinstance(plain, int) and plain > 0 else 1
