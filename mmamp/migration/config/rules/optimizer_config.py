"""``optimizer_config``: clipping, accumulation, and precision by its hook."""

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import (
    UNKNOWN,
    Value,
    listing,
    literal,
    mapping,
    same,
)
from mmamp.migration.config.wrappers import (
    HEIRS,
    for_each,
    had_no_effect,
    in_amp,
    loss_scale_of,
)
from mmamp.migration.rule import Rule

NO_EFFECT = ('distributed', 'coalesce', 'bucket_size_mb')
"""Arguments about how gradients of ranks are gathered: DDP does that now."""
HOOKS = (
    'OptimizerHook',
    'DistOptimizerHook',
    'GradientCumulativeOptimizerHook',
    'Fp16OptimizerHook',
    'GradientCumulativeFp16OptimizerHook',
    'GradAccumFp16OptimizerHook',
    'ApexOptimizerHook',
    'SiameseRPNOptimizerHook',
    'SiameseRPNFp16OptimizerHook',
)
UNFREEZING = ('backbone_start_train_epoch', 'backbone_train_layers')
"""What MMTracking's hooks did besides."""
KNOWN = (
    *('_delete_', 'type', 'grad_clip', 'cumulative_iters', 'update_interval'),
    *('loss_scale', 'use_fp16', 'detect_anomalous_params', *NO_EFFECT),
    *UNFREEZING,
)


def apply(context: Context) -> None:
    """Apply the rule."""
    if not context.has('optimizer_config'):
        return
    old = context['optimizer_config']
    if old.plain is None or (old.is_dict and not old.items):
        context.take('optimizer_config', 'optim_wrapper')
        return
    if 'optim_wrapper' not in context:
        if all(old.get(x) is None for x in old):
            context.take('optimizer_config')
        elif 'optimizer' not in context and 'optimizers' not in context:
            context.outside('optimizer_config', HEIRS)
        return
    if _is_understood(context, old):
        _convert(context, old)


def _is_understood(context: Context, old: Value) -> bool:
    name = 'optimizer_config'
    if not old.is_dict:
        context.todo(name, f'{name} is not a dict that can be read here')
        return False
    kind = old.get('type', 'OptimizerHook')
    if str(kind).split('.')[-1] not in HOOKS:
        context.todo(
            name,
            f'the hook {kind} has no counterpart that is known; an optimizer '
            'wrapper of your own may do what it did',
        )
        return False
    if old.get('use_fp16') is UNKNOWN:
        context.todo(name, 'whether use_fp16 is on is not known here')
        return False
    unknown = [x for x in old if x not in KNOWN]
    if unknown:
        context.todo(name, f'{", ".join(unknown)}: no such argument is known')
        return False
    return True


def _convert(context: Context, old: Value) -> None:
    new: dict[str, Value] = {}
    counts = [x for x in ('cumulative_iters', 'update_interval') if x in old]
    for key in counts:
        if old.get(key) != 1:
            new['accumulative_counts'] = old[key]
    scale: Value | None = None
    is_fp16 = 'Fp16' in str(old.get('type')) or bool(old.get('use_fp16'))
    if is_fp16:
        scale = loss_scale_of(context, 'optimizer_config', _scale(old))
        if scale is None:
            return
        _warn_of_both(context, old, scale)
    elif old.get('use_fp16') is False and any(
        scale.is_own for scale in _scales(context)
    ):
        context.warned(
            old,
            'use_fp16=False beside fp16: 0.x gives Fp16OptimizerHook an '
            'argument that it does not know; mixed precision is kept, as fp16 '
            'asks for. Take the one or the other out',
        )
    context.is_float32 = old.get('use_fp16') is False
    clip = old.child('grad_clip')

    def change(entry: Value) -> Value:
        entry = in_amp(entry, scale) if is_fp16 else entry
        if clip is not None and (
            clip.plain is not None or 'clip_grad' in entry
        ):
            entry = entry.with_items(clip_grad=clip)
        return entry.with_items(**new)

    is_set = new or is_fp16 or (clip is not None and clip.plain is not None)
    if not (is_set and had_no_effect(context, old)):
        for_each(context, change)
    if old.get('detect_anomalous_params'):
        context.warned(
            old['detect_anomalous_params'],
            'detect_anomalous_params is dropped: a parameter without a '
            'gradient is logged by mmamp.AmpOptimWrapper',
        )
    _unfreeze(context, old)
    context.take('optimizer_config', 'optim_wrapper')


def _unfreeze(context: Context, old: Value) -> None:
    """Have the backbone trained from some epoch on, by a hook of its own."""
    settings = {key: old[key] for key in UNFREEZING if key in old}
    if not settings:
        return
    there = context.get('custom_hooks')
    hook = mapping(
        type=literal('mmtrack.SiamRPNBackboneUnfreezeHook'), **settings
    )
    hooks = [] if there is None else there.elements or []
    context.replace('custom_hooks', listing(*hooks, hook))
    context.origin('custom_hooks', 'optimizer_config')
    context.changed(old, 'SiamRPNBackboneUnfreezeHook of mmtrack 1.0rc')


def _scale(old: Value) -> Value:
    """Return the scale that the hook of this name had."""
    if 'loss_scale' in old:
        return old['loss_scale']
    # MMCV's hook, or Apex, which the hooks with use_fp16 have.
    return literal(512.0 if 'Fp16' in str(old.get('type')) else 'dynamic')


def _warn_of_both(context: Context, old: Value, scale: Value) -> None:
    """Say which of two scales is taken: that of the hook that ran."""
    for other in _scales(context):
        if other.is_own and not same(other, scale):
            context.warned(
                old,
                f'fp16 and the hook {old.get("type")} have two loss scales; '
                f'the one of the hook that ran is taken: {scale.plain!r}',
            )


def _scales(context: Context) -> list[Value]:
    """Return the loss scales that wrappers have by now."""
    wrapper = context['optim_wrapper']
    found = [x.child('loss_scale') for x in (wrapper, *wrapper.children)]
    return [scale for scale in found if scale is not None]


RULE = Rule('optimizer_config', 'optimizer_config', apply)
