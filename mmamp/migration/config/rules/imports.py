"""``custom_imports`` of mmamp, where the config names something of it."""

from typing import Any

from mmamp.migration.config.context import Context
from mmamp.migration.config.values import literal, mapping
from mmamp.migration.rule import Rule


def apply(context: Context) -> None:
    """Apply the rule.

    Files under ``_base_`` are parts: the configs that inherit them import.
    """
    if context.is_part or not any(
        _names_mmamp(value.plain)
        for name, value in context.values.items()
        if name != 'custom_imports'
    ):
        return
    there = context.get('custom_imports')
    if there is None:
        context.replace(
            'custom_imports',
            mapping(
                imports=literal(['mmamp']), allow_failed_imports=literal(False)
            ),
        )
        return
    imports = there.get('imports', [])
    names = [imports] if isinstance(imports, str) else imports
    if 'mmamp' in names:
        return
    old = there['imports'] if 'imports' in there else literal([])
    if old.elements is None:
        old = literal(list(names))
    new = old.with_elements([*(old.elements or []), literal('mmamp')])
    context.replace('custom_imports', there.with_items(imports=new))


def _names_mmamp(plain: Any) -> bool:
    if isinstance(plain, dict):
        return any(map(_names_mmamp, plain.values()))
    if isinstance(plain, (list, tuple)):
        return any(map(_names_mmamp, plain))
    return isinstance(plain, str) and plain.startswith('mmamp.')


RULE = Rule('imports', 'custom_imports of mmamp', apply)
