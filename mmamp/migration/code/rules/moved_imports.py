"""``from mmcv... import`` of what is in MMEngine now."""

from collections.abc import Sequence
from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.imports import (
    aliases,
    lone_imports,
    source_of,
    split_import,
)
from mmamp.migration.code.moves import (
    FROM,
    GONE_NAMES,
    MOVES,
    REASONS,
    REGISTRY,
    is_gone,
    is_in,
    why_gone,
)
from mmamp.migration.code.names import bound_names, rename
from mmamp.migration.code.notes import Notes
from mmamp.migration.rule import Rule

Row = tuple[str, str, str]


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    actions: dict[cst.CSTNode, Sequence[Any]] = {}
    names: dict[str, str] = {}
    bound = bound_names(module)
    for line, node in lone_imports(module):
        source = source_of(node)
        if source.partition('.')[0] != 'mmcv' or not aliases(node):
            continue
        rows = [
            _move(source, x, names, bound, notes.project.registry)
            for x in aliases(node)
        ]
        news: list[Any] = [line]
        if any(x[0] != source for x in rows):
            news = split_import(line, rows)
            notes.changed(line, _said(source, rows))
        if left := [x for x in rows if x[0] == source and _is_gone(*x[:2])]:
            at = next(i for i, x in enumerate(news) if _is_from(x, source))
            news[at] = notes.todo(news[at], _reason(source, left), line)
        if news != [line]:
            actions[line] = news
    return rename(replace(module, actions), names)


def _is_from(line: Any, source: str) -> bool:
    return source_of(line.body[0]) == source


def _move(
    source: str,
    alias: tuple[str, str],
    names: dict[str, str],
    bound: set[str],
    registry: str,
) -> Row:
    """Return where a name is imported from now, and as what."""
    there, here = alias
    part = source.removeprefix('mmcv')
    if there not in MOVES or not any(is_in(part, x) for x in FROM):
        return source, there, here
    target, name = MOVES[there]
    target = registry if target == REGISTRY else target
    if here != there or name == there:
        return target, name, here
    if name in bound or here in bound:
        return target, name, here
    names[here] = name
    return target, name, name


def _is_gone(source: str, name: str) -> bool:
    part = source.removeprefix('mmcv')
    if is_in(part, '.utils') and name in GONE_NAMES:
        return True
    return is_gone(part) or name in REASONS


def _said(source: str, rows: list[Row]) -> str:
    targets = dict.fromkeys(x[0] for x in rows if x[0] != source)
    return f'{source}: {", ".join(targets)}'


def _reason(source: str, rows: list[Row]) -> str:
    return f'mmcv 2 has no {why_gone(source, [x[1] for x in rows])}'


RULE = Rule(
    'moved_imports',
    'imports from mmcv of what is in MMEngine now',
    apply,
    ('mmcv',),
)
