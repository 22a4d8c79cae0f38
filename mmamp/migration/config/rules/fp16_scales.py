"""``num_fp16_scales`` and ``fp16_enabled`` become ``PrecisionHook`` rules.

MMGeneration's StyleGAN2 ran only its highest resolutions in half precision.
Autocast runs all; a rule keeps the others in float32.
"""

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import Value, listing, literal, mapping
from mmamp.migration.config.wrappers import AMP, in_amp
from mmamp.migration.rule import Rule
from mmamp.migration.stylegan2 import in_float32

HOOK = 'mmamp.PrecisionHook'


def apply(context: Context) -> None:
    """Apply the rule."""
    if 'model' not in context or 'model' in context.unclear:
        return
    rules: list[Value] = []
    names = []
    others = []
    for network in ('generator', 'discriminator'):
        value = context.get('model', network)
        if value is None or not _has_any(value):
            others.append(network)
            continue
        pattern = _in_float32(network, value)
        if pattern is None:
            context.todo(
                'model',
                f'num_fp16_scales of the {network} become a PrecisionHook '
                'rule once its size is known here',
                value,
            )
            continue
        if pattern:
            rules.append(
                mapping(pattern=literal(pattern), dtype=literal('float32'))
            )
        bare = value.without('num_fp16_scales', 'fp16_enabled')
        context.replace(
            'model', context['model'].with_items(**{network: bare})
        )
        context.changed(
            value,
            'precision of the scales: '
            + (
                f'{pattern} stays in float32' if pattern else 'all by autocast'
            ),
        )
        names.append(network)
    if names:
        _put_in_amp(context, names)
        rules += _of_others(context, others)
    if rules:
        _add(context, rules)


def _of_others(context: Context, networks: list[str]) -> list[Value]:
    """Write rules that keep networks without half precision so."""
    rules = []
    for network in networks:
        kind = context.get('optim_wrapper', network, 'type')
        if kind is not None and kind.plain == AMP:
            pattern = literal(network)
            rules.append(mapping(pattern=pattern, dtype=literal('float32')))
    return rules


def _has_any(network: Value) -> bool:
    return bool(network.get('num_fp16_scales') or network.get('fp16_enabled'))


def _in_float32(network: str, value: Value) -> str | None:
    """Write a pattern of what is in float32; None if that is not known."""
    if value.get('fp16_enabled'):
        return ''
    scales = value.get('num_fp16_scales')
    size = value.get('out_size' if network == 'generator' else 'in_size')
    if not isinstance(scales, int) or not isinstance(size, int) or size < 8:
        return None
    parts = []
    for name, numbers in in_float32(network, size, scales):
        parts += [name] if numbers is None else _numbered(name, numbers)
    return rf'{network}\.({"|".join(parts)})'


def _numbered(name: str, numbers: range) -> list[str]:
    """Write a pattern of some modules of a list."""
    if not numbers:
        return []
    some = '|'.join(map(str, numbers))
    return [rf'{name}\.{some}' if len(numbers) == 1 else rf'{name}\.({some})']


def _put_in_amp(context: Context, names: list[str]) -> None:
    """Give networks in half precision a wrapper in mixed precision."""
    wrapper = context.get('optim_wrapper')
    if wrapper is None:
        return
    if any(x not in wrapper for x in names):
        return
    for name in names:
        entry = wrapper[name]
        if 'type' not in entry:
            wrapper = wrapper.with_items(**{name: in_amp(entry, None)})
    context.replace('optim_wrapper', wrapper)
    context.origin('optim_wrapper', 'model')


def _add(context: Context, rules: list[Value]) -> None:
    hooks = context.get('custom_hooks')
    hook = mapping(type=literal(HOOK), rules=listing(*rules))
    elements = list(hooks.elements or []) if hooks is not None else []
    if any(x.get('type') == HOOK for x in elements):
        return
    if hooks is None or hooks.elements is None:
        context.replace('custom_hooks', listing(*elements, hook))
    else:
        context.replace('custom_hooks', hooks.with_elements([*elements, hook]))
    context.origin('custom_hooks', 'model')


RULE = Rule(
    'fp16_scales', 'num_fp16_scales and fp16_enabled of StyleGAN2', apply
)
