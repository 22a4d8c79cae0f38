"""``runner``, ``total_iters`` and ``total_epochs`` become ``train_cfg``.

``DynamicIterBasedRunner`` also had the one scaler of all optimizers; in 1.x
each wrapper has its own.
"""

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import Value, literal, mapping
from mmamp.migration.config.wrappers import (
    AMP,
    HEIRS,
    for_each,
    in_amp,
    loss_scale_of,
)
from mmamp.migration.rule import Rule

NO_NEED = {
    'is_dynamic_ddp': 'the model wrapper prepares its reducers by itself',
    'pass_training_status': 'the message hub tells the iteration',
}
RUNNERS = (
    *('IterBasedRunner', 'EpochBasedRunner', 'DynamicIterBasedRunner'),
    *('Runner', 'PGGANRunner'),
)
OF_APEX = ('IterBasedRunnerAmp', 'EpochBasedRunnerAmp')
"""Runners that saved the state of Apex with the model's."""
LIKE = (
    'the runner {} is not known here; train_cfg has its length, and what else '
    'it did is left to do'
)
OF_LOOP = (
    *('by_epoch', 'max_iters', 'max_epochs', 'val_interval', 'val_begin'),
    'dynamic_intervals',
)


def is_loop(config: Value) -> bool:
    """Tell whether a ``train_cfg`` is that of 1.x."""
    kind = str(config.get('type', ''))
    return kind.endswith('Loop') or any(key in config for key in OF_LOOP)


def apply(context: Context) -> None:
    """Apply the rule."""
    runner = context['runner'] if context.has('runner') else mapping()
    if not runner.is_dict:
        runner = mapping()
    if not _is_understood(context, runner):
        return
    length = _length(context, runner)
    if length:
        there = context.get('train_cfg')
        if there is not None and is_loop(there):
            # Not both, where a base that is of 1.x has the other.
            other = {'max_iters': 'max_epochs', 'max_epochs': 'max_iters'}
            name = next(x for x in length if x in other)
            if other[name] in there and not length[name].is_own:
                length = {}
            else:
                context.replace(
                    'train_cfg', there.without(other[name], 'type')
                )
        if length:
            context.put('train_cfg', mapping(**length))
    _precision(context, runner)
    for name in ('runner', 'total_iters', 'total_epochs'):
        is_there = name == 'runner' or _clear(context, name) is not None
        if context.has(name) and is_there and (length or name == 'runner'):
            _drop(context, name)


def _is_understood(context: Context, runner: Value) -> bool:
    kind = runner.get('type')
    known = (*RUNNERS, *OF_APEX)
    if kind is not None and str(kind).split('.')[-1] not in known:
        if _is_like(str(kind), runner):
            context.todo('runner', LIKE.format(kind))
            return True
        context.todo(
            'runner',
            f'the runner {kind} has no counterpart that is known; '
            f'known are {", ".join(known)}',
        )
        return False
    arguments = (
        *('type', 'max_iters', 'max_epochs', 'fp16_loss_scaler'),
        *('use_apex_amp', '_delete_', *NO_NEED),
    )
    unknown = [x for x in runner if x not in arguments]
    if unknown:
        context.todo('runner', f'{", ".join(unknown)}: not known')
        return False
    return True


def _is_like(kind: str, runner: Value) -> bool:
    """Tell whether a runner has the length that its name speaks of alone."""
    name = 'max_epochs' if 'Epoch' in kind else 'max_iters'
    is_named = 'EpochBasedRunner' in kind or 'IterBasedRunner' in kind
    return is_named and set(runner) <= {'type', name, '_delete_'}


def _length(context: Context, runner: Value) -> dict[str, Value]:
    """Return how long training is, as ``train_cfg`` says it."""
    iters = [
        value
        for value in (
            _clear(context, 'total_iters'),
            context.get('runner', 'max_iters'),
        )
        if value is not None and value.plain is not None
    ]
    epochs = [
        value
        for value in (
            context.get('runner', 'max_epochs'),
            _clear(context, 'total_epochs'),
        )
        if value is not None and value.plain is not None
    ]
    if iters and epochs:
        # What the file says itself goes before what it inherits.
        if (epochs[0].is_own and not iters[0].is_own) or runner.get(
            'type'
        ) == 'EpochBasedRunner':
            iters = []
        else:
            epochs = []
    if iters:
        return {'by_epoch': literal(False), 'max_iters': iters[0]}
    if epochs:
        return {'by_epoch': literal(True), 'max_epochs': epochs[0]}
    if 'type' in runner and 'train_cfg' not in context:
        # How long, another file says.
        is_by_epoch = 'Epoch' in str(runner.get('type'))
        return {'by_epoch': literal(is_by_epoch)}
    return {}


def _clear(context: Context, name: str) -> Value | None:
    loop = context.get('train_cfg')
    is_variable = loop is not None and name in loop.all_names
    return (
        None if is_variable or name in context.unclear else context.get(name)
    )


def _precision(context: Context, runner: Value) -> None:
    kind = str(runner.get('type')).split('.')[-1]
    if kind in OF_APEX and 'optim_wrapper' in context:
        _put_in_amp(context, runner, kind)
    if runner.get('fp16_loss_scaler') is None:
        return
    if 'optim_wrapper' not in context:
        return
    old = runner['fp16_loss_scaler']
    scale = loss_scale_of(context, 'runner', old)
    if scale is None:
        return
    for_each(context, lambda entry: in_amp(entry, scale))
    context.origin('optim_wrapper', 'runner')
    context.warned(
        old,
        'one scaler was shared by all optimizers; each wrapper has its own '
        'now, and the scales may differ. auto_fp16 said what ran in half '
        'precision; autocast covers all but what a PrecisionHook keeps',
    )


def _put_in_amp(context: Context, runner: Value, kind: str) -> None:
    """Have in mixed precision what Apex had there."""
    if context.is_float32:
        return

    def change(entry: Value) -> Value:
        if entry.get('type') == AMP:
            return entry
        return in_amp(entry, literal('dynamic'))

    for_each(context, change)
    context.origin('optim_wrapper', 'runner')
    context.changed(runner, f'{kind} was the runner of Apex: AmpOptimWrapper')


def _drop(context: Context, name: str) -> None:
    value = context[name]
    if name == 'runner' and value.is_dict:
        scaler = value.get('fp16_loss_scaler')
        if scaler is not None and 'optim_wrapper' not in context:
            context.outside(name, HEIRS)
            return
        for key, reason in NO_NEED.items():
            if value.get(key):
                context.changed(value[key], f'{key} is dropped: {reason}')
    if context.marks.get(name):
        return
    context.take(name, 'train_cfg')


RULE = Rule('runner', 'runner, total_iters and total_epochs', apply)
