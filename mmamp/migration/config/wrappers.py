"""What the rules of optimizers and precision share: the wrappers' entries."""

from collections.abc import Callable

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import Value, literal

AMP = 'mmamp.AmpOptimWrapper'
NOT_ENTRIES = ('constructor', 'paramwise_cfg', '_delete_')
NO_EFFECT = (
    'dropped: a model that updates its networks itself did not heed this; '
    'the entries of optim_wrapper may have it (clip_grad, type, loss_scale)'
)
HEIRS = 'left for the configs that inherit it and have an optimizer'


def had_no_effect(context: Context, at: Value) -> bool:
    """Tell whether a setting did nothing before, and say so.

    MMCV's hooks step one optimizer of the model, not a dict of them.
    """
    is_theirs = 'optimizers' in context.origins.get('optim_wrapper', [])
    if is_theirs or is_several(context['optim_wrapper']):
        context.warned(at, NO_EFFECT)
        return True
    return False


def is_several(wrapper: Value) -> bool:
    """Tell whether an ``optim_wrapper`` has an entry for each network."""
    if 'optimizer' in wrapper or 'type' in wrapper:
        return False
    return any(key not in NOT_ENTRIES for key in wrapper)


def for_each(context: Context, change: Callable[[Value], Value]) -> None:
    """Change the entry of every optimizer."""
    wrapper = context['optim_wrapper']
    if is_several(wrapper):
        items = dict(wrapper.items or {})
        for key, entry in items.items():
            if key not in NOT_ENTRIES and entry.is_dict:
                items[key] = change(entry)
        context.replace('optim_wrapper', wrapper.with_items(**items))
    else:
        context.replace('optim_wrapper', change(wrapper))


def in_amp(entry: Value, loss_scale: Value | None) -> Value:
    """Put an entry in mixed precision; no scale: that by default."""
    items = {'type': literal(AMP), **(entry.without('type').items or {})}
    if loss_scale is not None:
        items['loss_scale'] = loss_scale
    return entry.without(*entry).with_items(**items)


def in_float32(entry: Value) -> Value:
    """Return the entry as it is without mixed precision."""
    if entry.get('type') != AMP:
        return entry
    plain = literal('OptimWrapper')
    return entry.without('loss_scale').with_items(type=plain)


def loss_scale_of(context: Context, name: str, old: Value) -> Value | None:
    """Convert a ``loss_scale`` of 0.x.

    Args:
        context (Context): The config.
        name (str): The key at the top that it is in, for what is left to do.
        old (Value): A number, 'dynamic', or the arguments of a scaler:
            torch's, or the one that MMCV had of its own.

    Returns:
        Value: Of the wrapper's ``loss_scale``; None if that cannot be told.
    """
    if not old.is_dict:
        plain = old.plain
        is_text = isinstance(plain, str) and plain != 'dynamic'
        if is_text or isinstance(plain, (bool, list, tuple, type(None))):
            context.todo(
                name,
                f"loss_scale={plain!r} is neither a number, 'dynamic' nor a "
                "dict of GradScaler's arguments",
                old,
            )
            return None
        return old
    theirs = {'mode', 'scale_factor', 'scale_window'}
    ours = ('init_scale', 'growth_factor', 'backoff_factor', 'growth_interval')
    unknown = [x for x in old if x not in (*ours, *theirs)]
    if unknown:
        context.todo(
            name,
            f'loss_scale has {", ".join(unknown)}, which no GradScaler takes; '
            f'it takes {", ".join(ours)}',
            old,
        )
        return None
    if old.get('mode') == 'static':
        return old['init_scale'] if 'init_scale' in old else literal(2.0**32)
    new = old.without(*theirs)
    if 'scale_factor' in old:
        factor = old.get('scale_factor')
        new = new.with_items(
            growth_factor=old['scale_factor'],
            backoff_factor=literal(1 / factor),
        )
    if 'scale_window' in old:
        new = new.with_items(growth_interval=old['scale_window'])
    return new if new.items else literal('dynamic')
