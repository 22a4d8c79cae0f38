"""``log_config`` becomes ``default_hooks.logger`` and ``visualizer``.

MMCV had a logger hook for each place that logs went to; MMEngine has one hook,
and a backend of the visualizer for each place but the terminal and the file.
"""

from mmamp.migration.config.context import Context
from mmamp.migration.config.run_length import run_length
from mmamp.migration.config.values import Value, listing, literal, mapping
from mmamp.migration.rule import Rule

NAME = 'log_config'
TEXT = ('TextLoggerHook', 'IterTextLoggerHook')
OF_TEXT = (
    'the hook of MMEngine logs in its place; what it did besides, a '
    'LogProcessor of your own may do'
)
OF_LOGGER = (
    *('interval', 'ignore_last', 'interval_exp_name', 'out_dir'),
    *('out_suffix', 'keep_local', 'file_client_args'),
)
BACKENDS: dict[str, tuple[str, dict[str, str]]] = {
    'TensorboardLoggerHook': (
        'TensorboardVisBackend',
        {'log_dir': 'save_dir'},
    ),
    'WandbLoggerHook': (
        'WandbVisBackend',
        {k: k for k in ('init_kwargs', 'commit', 'define_metric_cfg')},
    ),
    'MlflowLoggerHook': (
        'MLflowVisBackend',
        {k: k for k in ('exp_name', 'tags', 'params')},
    ),
    'NeptuneLoggerHook': ('NeptuneVisBackend', {'init_kwargs': 'init_kwargs'}),
    'ClearMLLoggerHook': ('ClearMLVisBackend', {'init_kwargs': 'init_kwargs'}),
    'DvcliveLoggerHook': ('DVCLiveVisBackend', {}),
}
BACKENDS['MMDetWandbHook'] = BACKENDS['WandbLoggerHook']
BACKENDS['MMClsWandbHook'] = BACKENDS['WandbLoggerHook']
"""The backend in place of a hook, and the arguments that both have."""
OF_HOOKS = ('type', 'interval', 'ignore_last', 'reset_flag', 'by_epoch')
"""What all hooks had, and what MMEngine's one hook has once."""


def apply(context: Context) -> None:
    """Apply the rule."""
    if not context.has(NAME):
        return
    old = context[NAME]
    hooks = old['hooks'] if 'hooks' in old else listing()
    if not old.is_dict or hooks.elements is None:
        if old.plain is not None:
            context.todo(NAME, f'{NAME} is not a dict that can be read here')
        else:
            context.take(NAME)
        return
    text = mapping()
    backends = []
    for hook in hooks.elements:
        kind = str(hook.get('type')).split('.')[-1]
        if kind.endswith('TextLoggerHook'):
            text = hook
            if kind not in TEXT:
                context.warned(hook, f'{kind}: {OF_TEXT}')
        elif kind in BACKENDS:
            backends.append(_backend(context, hook, *BACKENDS[kind]))
        elif kind == 'PaviLoggerHook':
            context.warned(hook, 'MMEngine has no backend for Pavi; dropped')
        else:
            known = ', '.join((*TEXT, *BACKENDS))
            reason = f'no backend is known for the logger {kind}; known are '
            context.todo(NAME, reason + known, hook)
            return
    _put_logger(context, old, text)
    if backends:
        context.put('visualizer', _visualizer(backends))
        context.origin('visualizer', NAME)
    context.take(NAME, 'default_hooks')
    more = ' and visualizer.vis_backends' if backends else ''
    context.changed(old, f'default_hooks.logger{more}')


def _put_logger(context: Context, old: Value, text: Value) -> None:
    items = {
        key: value[key]
        for value in (old, text)
        for key in OF_LOGGER
        if key in value
    }
    by_epoch = text.get('by_epoch')
    if by_epoch is None:
        by_epoch = run_length(context).by_epoch
    if by_epoch is False:
        items['log_metric_by_epoch'] = literal(False)
        context.put(
            'log_processor',
            mapping(type=literal('LogProcessor'), by_epoch=literal(False)),
        )
        context.origin('log_processor', NAME)
    logger = mapping(type=literal('LoggerHook'), **items)
    context.put('default_hooks', mapping(logger=logger))


def _backend(
    context: Context, hook: Value, name: str, arguments: dict[str, str]
) -> Value:
    items = {
        arguments[key]: value
        for key, value in (hook.items or {}).items()
        if key in arguments and value.plain is not None
    }
    lost = [
        key
        for key in hook.items or {}
        if key not in arguments and key not in OF_HOOKS
    ]
    if lost:
        context.warned(hook, f'{name} has no {", ".join(lost)}; dropped')
    return mapping(type=literal(name), **items)


def _visualizer(backends: list[Value]) -> Value:
    local = mapping(type=literal('LocalVisBackend'))
    return mapping(
        type=literal('Visualizer'), vis_backends=listing(local, *backends)
    )


RULE = Rule('log_config', 'log_config', apply)
