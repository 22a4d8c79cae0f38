"""``evaluation`` becomes settings of the loops and of the checkpoint hook.

When to validate goes to ``train_cfg``, which checkpoint is the best to
``default_hooks.checkpoint``. What is measured belongs to the data, which are
not converted, and stays as it is.
"""

from mmamp.migration.config.context import Context
from mmamp.migration.config.run_length import LEFT, RunLength, run_length
from mmamp.migration.config.values import UNKNOWN, Value, literal, mapping
from mmamp.migration.rule import Rule

NAME = 'evaluation'
BEST = ('save_best', 'rule', 'greater_keys', 'less_keys')
DROPPED = {
    'gpu_collect': "it is collect_device='gpu' of a metric now",
    'save_image': 'a visualisation hook saves pictures now',
    'tmpdir': 'it is collect_dir of a metric now',
    'priority': 'a loop validates now, not a hook',
    'by_epoch': 'the loop of the training says what is counted',
    'broadcast_bn_buffer': 'SyncBuffersHook does it',
}
OF_DATA = (
    'left as it is, for it says what is measured and belongs to the data: to '
    'be written as val_evaluator beside val_dataloader'
)


def apply(context: Context) -> None:
    """Apply the rule."""
    if not context.has(NAME):
        return
    old = context[NAME]
    if old.plain is None:
        if 'val_cfg' in context:
            context.replace('val_cfg', literal(None))
        context.changed(context.take(NAME), 'no validation needs no setting')
        return
    if old.elements and all(x.is_dict for x in old.elements):
        _several(context, old.elements)
        return
    if not old.is_dict:
        context.todo(NAME, f'{NAME} is not a dict that can be read here')
        return
    run = run_length(context)
    if run.by_epoch is None:
        _part(context, old)
        return
    loop = _when(context, old, run)
    if loop is None:
        return
    _put_loop(context)
    if loop.items:
        context.put('train_cfg', loop)
        context.origin('train_cfg', NAME)
    best = {key: old[key] for key in BEST if key in old}
    if best:
        _best(context, old, best)
    _leave(context, old)


def _several(context: Context, old: list[Value]) -> None:
    """Convert several evaluations, which have one loop now."""
    run = run_length(context)
    if run.by_epoch is not None:
        loops = [_when(context, x, run) for x in old]
        if None in loops:
            return
        first, *others = [x for x in loops if x is not None]
        if any(x.plain != first.plain for x in others):
            context.todo(
                NAME,
                'its evaluations are at different intervals; there is one '
                'val_interval, and an evaluator may have several metrics',
            )
            return
        if first.items:
            context.put('train_cfg', first)
    _put_loop(context)
    for x in old:
        if best := {key: x[key] for key in BEST if key in x}:
            _best(context, x, best)
    context.outside(NAME, OF_DATA)


def _put_loop(context: Context) -> None:
    context.put('val_cfg', mapping(type=literal('ValLoop')))
    context.origin('val_cfg', NAME)


def _part(context: Context, old: Value) -> None:
    """Convert a base of the data, which has no ``train_cfg``.

    No two bases of a config may have a key in common.
    """
    _put_loop(context)
    if old.get('interval') == 1:
        # Each epoch, which MMEngine does by itself.
        context.replace(NAME, old.without('interval'))
        context.outside(NAME, OF_DATA)
    else:
        context.outside(NAME, f'{OF_DATA}; the interval is {LEFT}')


def _when(context: Context, old: Value, run: RunLength) -> Value | None:
    """Convert when to validate; None if that is left to do."""
    by_epoch = old.get('by_epoch')
    if by_epoch is not None and by_epoch is not run.by_epoch:
        context.todo(
            NAME,
            f'by_epoch={by_epoch} in evaluation, but the run counts '
            'the other; train_cfg.val_interval counts what the run does',
        )
        return None
    items: dict[str, Value] = {}
    interval = old.child('interval')
    if interval is not None and interval.is_dict:
        dynamic = _of_milestones(interval)
        if dynamic is None:
            context.todo(NAME, 'its interval cannot be read here', interval)
            return None
        items.update(dynamic)
    elif interval is not None and _is_never(interval):
        context.todo(
            NAME,
            f'interval={interval.plain} was never; for a run without '
            'validation leave out val_dataloader, val_evaluator and val_cfg',
            interval,
        )
        return None
    elif interval is not None and not _is_default(context, interval, run):
        items['val_interval'] = interval
    if 'dynamic_intervals' in old:
        items['dynamic_intervals'] = old['dynamic_intervals']
    start = old.get('start')
    if start is not None and start is not UNKNOWN:
        items['val_begin'] = literal(max(start, 1))
        context.warned(
            old['start'],
            'intervals were counted from the start; they are counted from the '
            'beginning of the run now, and nothing is validated before it',
        )
    return mapping(**items)


def _is_default(context: Context, interval: Value, run: RunLength) -> bool:
    """Tell whether each epoch is validated, as MMEngine does by itself."""
    there = context.get('train_cfg', 'val_interval')
    return bool(run.by_epoch) and interval.plain == 1 and there is None


def _is_never(interval: Value) -> bool:
    plain = interval.plain
    return plain is None or (isinstance(plain, int) and plain < 1)


def _of_milestones(interval: Value) -> dict[str, Value] | None:
    """Convert MMGeneration's intervals between milestones."""
    steps, milestones = interval.get('interval'), interval.get('milestones')
    if not isinstance(steps, list) or not isinstance(milestones, list):
        return None
    if len(steps) != len(milestones) + 1 or UNKNOWN in (*steps, *milestones):
        return None
    pairs = list(zip(milestones, steps[1:], strict=True))
    return {
        'val_interval': literal(steps[0]),
        'dynamic_intervals': Value(pairs),
    }


def _best(context: Context, old: Value, best: dict[str, Value]) -> None:
    context.put('default_hooks', mapping(checkpoint=mapping(**best)))
    context.origin('default_hooks', NAME)
    if best.get('save_best', literal(None)).plain not in (None, 'auto'):
        context.warned(
            best['save_best'],
            'save_best has to be a name that val_evaluator reports, with its '
            "prefix if it has one, such as 'coco/bbox_mAP'",
        )


def _leave(context: Context, old: Value) -> None:
    """Keep what belongs to the data."""
    done = ('interval', 'dynamic_intervals', 'start', *BEST, *DROPPED)
    for key, reason in DROPPED.items():
        if key in old:
            context.changed(old[key], f'{key} is dropped: {reason}')
    rest = old.without(*done)
    if list(rest) != list(old):
        context.changed(old, 'train_cfg.val_interval and val_cfg')
    if rest.items:
        context.replace(NAME, rest)
        context.outside(NAME, f'{", ".join(rest.items)}: {OF_DATA}')
        context.origin('train_cfg', NAME)
    else:
        context.take(NAME, 'val_cfg')


RULE = Rule('evaluation', 'evaluation', apply)
