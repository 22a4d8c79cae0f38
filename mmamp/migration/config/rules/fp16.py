"""``fp16 = dict(loss_scale=...)`` becomes ``AmpOptimWrapper``."""

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import literal
from mmamp.migration.config.wrappers import (
    HEIRS,
    for_each,
    had_no_effect,
    in_amp,
    in_float32,
    loss_scale_of,
)
from mmamp.migration.rule import Rule


def apply(context: Context) -> None:
    """Apply the rule."""
    if not context.has('fp16'):
        return
    old = context['fp16']
    if old.plain is None or old.plain is False:
        if 'optim_wrapper' in context and old.is_own:
            for_each(context, in_float32)
        context.take('fp16', 'optim_wrapper')
        return
    if not old.is_dict or set(old) - {'loss_scale', 'distributed'}:
        extra = sorted(set(old) - {'loss_scale', 'distributed'})
        context.todo(
            'fp16',
            f'fp16 has {", ".join(extra)}, which is not known; it takes '
            'loss_scale'
            if extra
            else f'fp16={old.plain!r} is not a dict with loss_scale',
        )
        return
    if 'optim_wrapper' not in context:
        if 'optimizer' not in context and 'optimizers' not in context:
            context.outside('fp16', HEIRS)
        return
    # What MMCV's Fp16OptimizerHook had by default.
    given = old['loss_scale'] if 'loss_scale' in old else literal(512.0)
    scale = loss_scale_of(context, 'fp16', given)
    if scale is None:
        return
    if not had_no_effect(context, old):
        for_each(context, lambda entry: in_amp(entry, scale))
    context.take('fp16', 'optim_wrapper')


RULE = Rule('fp16', 'fp16', apply)
