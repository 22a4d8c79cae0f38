"""What is left of ``train_cfg`` and ``test_cfg`` goes to the model.

In 0.x both were the model's (``build_model(model, train_cfg, test_cfg)``); in
1.x these names are the loops'.
"""

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import Value, mapping
from mmamp.migration.config.wrappers import HEIRS
from mmamp.migration.rule import Rule

from .runner import OF_LOOP, is_loop

NAMES = ('train_cfg', 'test_cfg')
RENAMED = {
    kind: {'disc_steps': 'disc_repeat', 'fix_iter': 'pixel_init'}
    for kind in ('TTSR', 'DIC')
}
"""Settings of a model that MMagic knows by other names."""
ARGUMENTS = {'CycleGAN': ('buffer_size',), 'Pix2Pix': ('buffer_size',)}
"""Settings that are arguments of a model of MMagic."""


def apply(context: Context) -> None:
    """Apply the rule."""
    for name in NAMES:
        if name not in context or context[name].plain == {}:
            continue
        if not context.has(name):
            continue
        if context[name].plain is None:
            # The model had none; the loop's would be another thing.
            context.take(name)
            continue
        if not context[name].is_dict:
            context.todo(name, f'{name} is not a dict that can be read here')
            continue
        _move(context, name)


def _move(context: Context, name: str) -> None:
    old = context[name]
    mixed = is_loop(old)
    loop = {k: v for k, v in (old.items or {}).items() if _of_loop(k, mixed)}
    rest = old.without(*loop)
    if not rest.items:
        return
    if 'model' not in context:
        context.outside(name, HEIRS.replace('an optimizer', 'a model'))
        return
    rest = _renamed(context, rest)
    rest = _as_arguments(context, rest)
    if rest.items:
        context.put('model', mapping(**{name: rest}))
        reason = f"{name} was the model's: it is model.{name} now"
        context.changed(rest, reason)
    context.take(name, 'model')
    if name == 'test_cfg' and 'metrics' in rest:
        context.warned(
            rest['metrics'],
            'metrics are computed by val_evaluator and test_evaluator in '
            '1.x, not by the model',
        )
    if loop:
        context.replace(name, mapping(**loop))


def _renamed(context: Context, config: Value) -> Value:
    kind = context.get('model', 'type')
    names = RENAMED.get(str(kind.plain) if kind is not None else '', {})
    for old, new in names.items():
        if old in config:
            context.warned(config[old], f'{old} is {new} in MMagic')
    return config.renamed(**names)


def _as_arguments(context: Context, config: Value) -> Value:
    kind = context.get('model', 'type')
    names = ARGUMENTS.get(str(kind.plain) if kind is not None else '', ())
    moved = {x: config[x] for x in names if x in config}
    if moved:
        context.put('model', mapping(**moved))
    return config.without(*moved)


def _of_loop(key: str, mixed: bool) -> bool:
    return mixed and key in (*OF_LOOP, 'type', 'fp16', '_delete_')


RULE = Rule('model_cfg', 'train_cfg and test_cfg of the model', apply)
