"""``mmcv.load(...)`` and others of its kind are in ``mmengine``."""

from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.imports import used_names
from mmamp.migration.code.moves import MOVES
from mmamp.migration.code.names import bound_names, dotted, find, swap
from mmamp.migration.code.notes import Notes
from mmamp.migration.rule import Rule

TOP = frozenset(
    x
    for x, (module, name) in MOVES.items()
    if name == x
    and module
    in (
        'mmengine.config',
        'mmengine.fileio',
        'mmengine.logging',
        'mmengine.registry',
        'mmengine.utils',
    )
)
"""Names that ``mmengine`` itself has."""


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file that has ``import mmcv``."""
    line = _import_line(module)
    if line is None or {'mmcv', 'mmengine'} & bound_names(module):
        return module
    news: dict[Any, Any] = {}
    for node in find(module, _is_moved):
        news[node.value] = cst.Name('mmengine')
        notes.changed(node, f'mmengine.{node.attr.value}')
    if not news:
        return module
    module = swap(module, news)
    return _import_mmengine(module)


def _is_moved(node: Any) -> bool:
    return (
        isinstance(node, cst.Attribute)
        and isinstance(node.value, cst.Name)
        and node.value.value == 'mmcv'
        and node.attr.value in TOP
    )


def _import_line(module: cst.Module) -> cst.SimpleStatementLine | None:
    """``import mmcv``, at the top of the file and on its own."""
    for line in module.body:
        if isinstance(line, cst.SimpleStatementLine) and _imports(
            line, 'mmcv'
        ):
            return line
    return None


def _imports(line: cst.SimpleStatementLine, name: str) -> bool:
    node = line.body[0]
    return (
        len(line.body) == 1
        and isinstance(node, cst.Import)
        and len(node.names) == 1
        and dotted(node.names[0].name) == name
        and node.names[0].asname is None
    )


def _import_mmengine(module: cst.Module) -> cst.Module:
    """Import mmengine beside mmcv, or in its place if that is unused."""
    line = _import_line(module)
    if line is None:
        return module
    has_it = any(
        isinstance(x, cst.SimpleStatementLine) and _imports(x, 'mmengine')
        for x in module.body
    )
    new = cst.parse_statement('import mmengine')
    news: list[Any] = [] if has_it else [new]
    if _uses_mmcv(module):
        news = [line, *news]
    elif news:
        news = [new.with_changes(leading_lines=line.leading_lines)]
    return replace(module, {line: news})


def _uses_mmcv(module: cst.Module) -> bool:
    return 'mmcv' in used_names(module)


RULE = Rule(
    'mmcv_attributes',
    'attributes of mmcv that MMEngine has now',
    apply,
    ('mmcv.',),
)
