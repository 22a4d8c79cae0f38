"""``apex_amp`` and ``use_apex_amp`` become ``AmpOptimWrapper``."""

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import Value, literal
from mmamp.migration.config.wrappers import HEIRS, for_each, in_amp
from mmamp.migration.rule import Rule

KNOWN = ('opt_level', 'num_losses', 'loss_scale', 'enabled', 'verbosity')


def apply(context: Context) -> None:
    """Apply the rule."""
    old = context.get('apex_amp')
    flag = context.get('use_apex_amp')
    is_on = bool(old.plain if old is not None else flag and flag.plain)
    if old is None and flag is None:
        return
    if not is_on:
        _drop(context)
        return
    if 'optim_wrapper' not in context:
        for name in ('apex_amp', 'use_apex_amp'):
            context.outside(name, HEIRS)
        return
    arguments = context.get('apex_amp', 'init_args')
    if arguments is not None and not _is_understood(context, arguments):
        return
    scale: Value = literal('dynamic')
    if arguments is not None and 'loss_scale' in arguments:
        scale = _number(arguments['loss_scale'])
    level = arguments.get('opt_level', 'O1') if arguments is not None else 'O1'
    at = old if old is not None else flag
    assert at is not None
    if level == 'O0':
        context.changed(at, 'opt_level O0 is float32')
    else:
        for_each(context, lambda entry: in_amp(entry, scale))
        _warn(context, at, level, arguments)
    _drop(context)


def _is_understood(context: Context, arguments: Value) -> bool:
    unknown = [x for x in arguments if x not in KNOWN]
    if unknown:
        context.todo(
            'apex_amp', f'{", ".join(unknown)} of init_args: not converted'
        )
    return not unknown


def _number(scale: Value) -> Value:
    """Convert a number in a text, which Apex takes as well."""
    plain = scale.plain
    if isinstance(plain, str) and plain != 'dynamic':
        return literal(float(plain))
    return scale


def _warn(
    context: Context, at: Value, level: str, arguments: Value | None
) -> None:
    if level in ('O2', 'O3'):
        context.warned(
            at,
            f'opt_level {level} kept the weights in half precision; autocast '
            'keeps them in float32',
        )
    if arguments is not None and arguments.get('num_losses', 1) != 1:
        context.warned(
            arguments['num_losses'],
            'a scale for each loss of num_losses becomes one for each '
            'optim_wrapper; losses that opted out of it (use_apex_amp=False) '
            'are scaled with the rest, and their inner gradients are true '
            'ones by optim_wrapper.grad',
        )


def _drop(context: Context) -> None:
    for name in ('apex_amp', 'use_apex_amp'):
        if context.has(name):
            context.take(name, 'optim_wrapper')


RULE = Rule('apex', 'apex_amp and use_apex_amp', apply)
