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
from mmamp.migration.code.qualified import Names
from mmamp.migration.rule import Rule


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    module = drop_repeated(module, notes.project.registry)
    news: dict[cst.CSTNode, cst.CSTNode] = {}
    names = notes.names(module)
    for node in of_type(module, cst.ClassDef):
        new = _registered_once(node, names, notes.project.registry)
        if new is not node:
            news[node] = new
            notes.changed(node.name, 'its registries are one: it is in once')
    return swap(module, news)


def _registration(node: cst.BaseExpression, names: Names, module: str) -> str:
    """Tell registry and arguments; empty for other decorators."""
    called = node.func if isinstance(node, cst.Call) else node
    for registry in REGISTRIES.values():
        name = f'{registry}.register_module'
        if names.is_one_of(called, (f'{module}.{name}', name)):
            args = node.args if isinstance(node, cst.Call) else ()
            return f'{registry}({", ".join(code(x) for x in args)})'
    return ''


def _registered_once(
    node: cst.ClassDef, names: Names, module: str
) -> cst.ClassDef:
    seen: set[str] = set()
    kept: list[cst.Decorator] = []
    lost: list[cst.EmptyLine] = []
    for decorator in node.decorators:
        text = _registration(decorator.decorator, names, module)
        if text and text in seen:
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
    ('.registry',),
)
