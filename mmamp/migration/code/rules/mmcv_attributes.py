"""``mmcv.load(...)`` and others of its kind are in ``mmengine``.

So are those of a part of mmcv that is imported as a whole, as in ``import
mmcv.runner as R``, of which mmcv 2 has some not any more.
"""

from collections.abc import Sequence
from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.imports import (
    add_module,
    bound_by_import,
    drop_freed,
    used_variables,
)
from mmamp.migration.code.moves import (
    FROM,
    MOVES,
    REGISTRY,
    is_gone,
    is_in,
    why_gone,
)
from mmamp.migration.code.names import bound_names, dotted, find, swap
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.qualified import Names
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
    """Convert a file that imports mmcv, or a part of it, as a whole."""
    names = notes.names(module)
    taken = bound_names(module)
    news: dict[cst.CSTNode, cst.CSTNode] = {}
    targets: set[str] = set()
    for node in find(module, lambda x: isinstance(x, cst.Attribute)):
        source, name = _split(names.imported(node))
        moved = _moved(source, name, notes.project.registry)
        if moved and moved[0].partition('.')[0] not in taken:
            new = '.'.join(moved)
            news[node] = cst.parse_expression(new)
            targets.add(moved[0])
            notes.changed(node, new)
    after = swap(module, news)
    if targets:
        anchor = next(filter(_is_of_mmcv, after.body), None)
        after = add_module(after, sorted(targets), anchor)
        after = drop_freed(module, after)
    return _with_marks(after, notes)


def _split(name: str) -> tuple[str, str]:
    source, _, last = name.rpartition('.')
    return source, last


def _moved(source: str, name: str, registry: str) -> tuple[str, str] | None:
    """Return the module and name that an attribute of mmcv has now."""
    if source.partition('.')[0] != 'mmcv' or name not in MOVES:
        return None
    part = source.removeprefix('mmcv')
    # What is in a class or a function is not in a module.
    if part != part.lower() or set(part.split('.')) & set(MOVES):
        return None
    if not any(is_in(part, x) for x in FROM):
        return None
    if name in TOP:
        return 'mmengine', name
    target, new = MOVES[name]
    return (registry if target == REGISTRY else target), new


def _is_of_mmcv(line: cst.CSTNode) -> bool:
    """Tell whether a statement imports nothing but mmcv or a part."""
    return _module(line).partition('.')[0] == 'mmcv'


def _module(line: Any) -> str:
    """Return the module that a statement imports as a whole and alone."""
    if not bound_by_import(line):
        return ''
    node = line.body[0]
    name = dotted(node.names[0].name)
    if isinstance(node, cst.Import):
        return name
    is_part = f'.{name}' in FROM and not node.relative
    return f'{dotted(node.module)}.{name}' if is_part else ''


# ---- what is left ----------------------------------------------------------


def _with_marks(module: cst.Module, notes: Notes) -> cst.Module:
    """Mark imports of parts that there are no more, and are used still."""
    names = notes.names(module)
    lines = [
        x
        for x in find(module, _is_of_mmcv)
        if is_gone(_module(x).removeprefix('mmcv'))
    ]
    if not lines:
        return module
    used = used_variables(module)
    actions: dict[cst.CSTNode, Sequence[Any]] = {}
    for line in lines:
        source = _module(line)
        left = _attributes(module, source, names)
        if left:
            reason = f'mmcv 2 has no {why_gone(source, left)}'
            actions[line] = [notes.todo(line, reason)]
        elif bound_by_import(line) == 'mmcv' and 'mmcv' in used:
            # It bound the name for other parts as well.
            actions[line] = _plain(line, module)
    return replace(module, actions)


def _attributes(module: cst.Module, source: str, names: Names) -> list[str]:
    """Return the names of a module that a file takes by attributes."""
    found = (
        names.imported(x)
        for x in find(module, lambda x: isinstance(x, cst.Attribute))
    )
    start = f'{source}.'
    taken = (
        x.removeprefix(start).partition('.')[0]
        for x in found
        if x.startswith(start)
    )
    return list(dict.fromkeys(taken))


def _plain(line: Any, module: cst.Module) -> list[Any]:
    """Write ``import mmcv``, unless the file has that."""
    if any(_module(x) == 'mmcv' for x in module.body):
        return []
    new = cst.parse_statement('import mmcv')
    return [new.with_changes(leading_lines=line.leading_lines)]


RULE = Rule(
    'mmcv_attributes',
    'attributes of mmcv that MMEngine has now',
    apply,
    ('mmcv',),
)
