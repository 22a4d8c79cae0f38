"""What was in two registries of 0.x that are one now is registered once.

``PLUGIN_LAYERS`` of mmcv and ``MODULES`` of MMGeneration are both ``MODELS``:
their imports, and the decorators of a class that was in both, are equal now,
and MMEngine refuses to register a name twice.
"""

import libcst as cst

from mmamp.migration.code.blocks import comments_in
from mmamp.migration.code.imports import drop_repeated
from mmamp.migration.code.moves import REGISTRIES
from mmamp.migration.code.names import code, of_type, swap
from mmamp.migration.code.notes import Notes
from mmamp.migration.rule import Rule


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    module = drop_repeated(module, 'mmamp.registry')
    news: dict[cst.CSTNode, cst.CSTNode] = {}
    for node in of_type(module, cst.ClassDef):
        new = _registered_once(node)
        if new is not node:
            news[node] = new
            notes.changed(node.name, 'its registries are one: it is in once')
    return swap(module, news)


def _registered_once(node: cst.ClassDef) -> cst.ClassDef:
    seen: set[str] = set()
    kept: list[cst.Decorator] = []
    lost: list[cst.EmptyLine] = []
    for decorator in node.decorators:
        text = code(decorator.decorator)
        registry, _, rest = text.partition('.')
        is_ours = registry in REGISTRIES.values()
        if is_ours and rest.startswith('register_module') and text in seen:
            lost += [x for x in decorator.leading_lines if x.comment]
            lost += comments_in(decorator)
            continue
        seen.add(text)
        kept.append(decorator)
    if len(kept) == len(node.decorators):
        return node
    after = [*lost, *node.lines_after_decorators]
    return node.with_changes(decorators=kept, lines_after_decorators=after)


RULE = Rule(
    'repeated_registration',
    'classes that were in two registries which are one',
    apply,
    ('mmamp.registry',),
)
