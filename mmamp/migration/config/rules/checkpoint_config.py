"""``checkpoint_config`` becomes ``default_hooks.checkpoint``."""

from mmamp.migration.config.context import Context
from mmamp.migration.config.run_length import run_length
from mmamp.migration.config.values import Value, literal, mapping
from mmamp.migration.rule import Rule

NAME = 'checkpoint_config'
NEW = 'default_hooks'
NO_NEED = {
    'create_symlink': 'the file last_checkpoint says which one is the last',
    'sync_buffer': 'MMEngine has SyncBuffersHook, a hook of its own, for it',
    'meta': 'MMEngine writes its own',
}


def apply(context: Context) -> None:
    """Apply the rule."""
    if not context.has(NAME):
        return
    old = context[NAME]
    if not old.is_dict and old.plain is not None:
        context.todo(NAME, f'{NAME} is not a dict that can be read here')
        return
    hook = literal(None)
    if old.is_dict:
        hook = _hook(old, run_length(context).by_epoch is False)
        for key, reason in NO_NEED.items():
            if key in old:
                context.changed(old[key], f'{key} is dropped: {reason}')
    context.put(NEW, mapping(checkpoint=hook))
    context.changed(context.take(NAME, NEW), 'default_hooks.checkpoint')


def _hook(old: Value, is_by_iter: bool) -> Value:
    """Make the hook: the names are the same, one default is not."""
    items = {'type': literal('CheckpointHook'), **(old.items or {})}
    if is_by_iter and 'by_epoch' not in items:
        items['by_epoch'] = literal(False)
    return (
        old.without(*items).with_items(**items).without('_delete_', *NO_NEED)
    )


RULE = Rule('checkpoint_config', 'checkpoint_config', apply)
