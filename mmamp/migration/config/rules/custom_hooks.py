"""``custom_hooks`` and ``visual_config`` in the words of 1.x."""

from mmamp.migration.config.context import Context
from mmamp.migration.config.ema import (
    HOOK,
    NotConverted,
    ema_config,
    ema_hook,
    networks_of,
    of_mmagic,
)
from mmamp.migration.config.values import Value, listing, literal, mapping
from mmamp.migration.findings import Outcome
from mmamp.migration.rule import Rule
from mmamp.migration.toolboxes import (
    GONE,
    HOOKS,
    PACKAGES,
    Name,
    listed,
    named,
)

NAME = 'custom_hooks'
VISUAL_CONFIG = 'visual_config'
VISUAL = (
    *('VisualizeUnconditionalSamples', 'MMGenVisualizationHook'),
    *('MMEditVisualizationHook', 'VisualizationHook'),
)
HEIRS = 'left for the configs that inherit it and have a model'
NOT_KNOWN = 'not a hook that is known here; it has to be one of MMEngine now'
NO_LONGER = {
    'EMAHook': ('warm_up', 'resume_from'),
    'SyncNormHook': ('num_last_epochs', 'interval'),
}
"""Arguments that a hook of the same name does not take any more."""


def apply(context: Context) -> None:
    """Apply the rule."""
    if context.has(NAME):
        _convert_all(context)
    if context.has(VISUAL_CONFIG):
        _visual_config(context)


def _convert_all(context: Context) -> None:
    hooks = context[NAME]
    if hooks.elements is None:
        if hooks.value not in (None, []):
            context.todo(NAME, f'{NAME} is not a list that is written out')
        return
    kept = []
    for hook in hooks.elements:
        try:
            new = _convert(context, hook)
        except NotConverted as reason:
            context.todo(NAME, f'{hook.get("type")}: {reason}', hook)
            new = hook
        if new is not None:
            kept.append(new)
    same = len(kept) == len(hooks.elements) and all(
        a is b for a, b in zip(kept, hooks.elements, strict=True)
    )
    if not same:
        context.replace(NAME, hooks.with_elements(kept))


def _convert(context: Context, hook: Value) -> Value | None:
    """Return the hook of 1.x; None if there is to be none."""
    if not hook.is_dict:
        return hook
    if str(hook.get('type')).startswith('mmamp.'):
        return hook
    kind = str(hook.get('type')).split('.')[-1]
    if kind == HOOK:
        return _average(context, hook)
    if kind in VISUAL and 'vis_kwargs_list' not in hook:
        return _samples(context, hook)
    if kind == 'ExpMomentumEMAHook':
        return _exponential(context, hook)
    if kind in context.project.classes:
        return hook
    if homes := named(HOOKS, kind, context.target):
        return _named(context, hook, homes)
    if kind == 'LinearMomentumEMAHook':
        raise NotConverted(
            'MMEngine has no average like it; MomentumAnnealingEMA is near'
        )
    if kind in GONE:
        raise NotConverted(GONE[kind])
    if context.origins and 'type' in hook:
        context.say(hook, Outcome.OUTSIDE, f'{kind}: {NOT_KNOWN}')
    return hook


def _average(context: Context, hook: Value) -> Value | None:
    model = context.get('model')
    if 'is_use_ema' in (model or mapping()):
        return of_mmagic(context, hook)
    if model is None or not model.is_dict:
        context.say(hook, Outcome.OUTSIDE, f'{HOOK}: {HEIRS}')
        return hook
    networks = networks_of(hook)
    if not networks:
        raise NotConverted('it does not say of which networks')
    if networks != ['generator_ema']:
        return ema_hook(context, hook)
    config = ema_config(context, hook)
    context.put('model', mapping(ema_config=config))
    context.origin('model', NAME)
    context.changed(hook, 'model.ema_config')
    return None


def _samples(context: Context, hook: Value) -> Value | None:
    """Convert to mmamp's hook, which draws of the same inputs always."""
    interval = hook.get('interval', -1)
    if isinstance(interval, int) and interval < 1:
        context.changed(hook, f'dropped: interval={interval} was never')
        return None
    items = {
        'type': literal('mmamp.SampleHook'),
        'interval': hook['interval'],
    }
    is_of_latents = str(hook.get('type')).endswith('Samples')
    if is_of_latents:
        items['num_samples'] = literal(hook.get('num_samples', 16))
        items['columns'] = literal(hook.get('nrow', 4))
    kind = 'GAN' if is_of_latents else 'Translation'
    context.warned(
        hook,
        'mmamp.SampleHook, which draws with the visualizer; for a model of '
        "MMagic: dict(type='VisualizationHook', fixed_input=True, "
        f"vis_kwargs_list=dict(type='{kind}', name=...))",
    )
    return mapping(**items)


def _exponential(context: Context, hook: Value) -> Value:
    dropped = ('type', 'resume_from', 'total_iter', 'skip_buffers')
    gamma = {'gamma': hook['total_iter']} if 'total_iter' in hook else {}
    context.changed(hook, 'EMAHook with the average ExpMomentumEMA')
    return mapping(
        type=literal('EMAHook'),
        ema_type=literal('ExpMomentumEMA'),
        update_buffers=literal(not hook.get('skip_buffers', False)),
        **gamma,
        **(hook.without(*dropped).items or {}),
    )


def _named(context: Context, hook: Value, homes: list[Name]) -> Value:
    """Return a hook under the name that it has, with what it still takes."""
    kind = homes[0].old
    gone = [x for x in NO_LONGER.get(kind, ()) if x in hook]
    if gone:
        context.warned(hook, f'{kind} takes no {", ".join(gone)} any more')
        hook = hook.without(*gone)
    news = {x.new for x in homes}
    if context.target and news != {kind} and hook.get('type') == kind:
        return hook.with_items(type=literal(homes[0].new))
    is_of_toolbox = homes[0].toolbox in PACKAGES
    if is_of_toolbox and not context.target and context.origins and not gone:
        context.say(
            hook, Outcome.OUTSIDE, f'a hook of this name is {listed(homes)}'
        )
    return hook


def _visual_config(context: Context) -> None:
    """Put MMEditing's one hook for pictures among the others."""
    old = context[VISUAL_CONFIG]
    others = context.get(NAME)
    listed = [] if others is None else others.elements or []
    is_done = others is not None and others.is_own and not old.is_own
    if old.is_dict and not is_done:
        hook = _convert(context, old)
        context.replace(NAME, listing(*listed, *([hook] if hook else [])))
    context.take(VISUAL_CONFIG, NAME)


RULE = Rule('custom_hooks', 'custom_hooks and visual_config', apply)
