"""What is imported from MMGeneration and MMEditing stays, and is named."""

from typing import Any

import libcst as cst

from mmamp.migration.code.imports import source_of
from mmamp.migration.code.names import dotted, find
from mmamp.migration.code.notes import Notes
from mmamp.migration.rule import Rule

HOME = {'mmgen': 'MMagic', 'mmedit': 'MMagic'}
"""The projects that there are no more, and where most of them went."""


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Look at a file; nothing is converted."""
    for node in find(module, _is_import):
        for name in _modules(node):
            project = name.partition('.')[0]
            if project in HOME:
                notes.outside(
                    node,
                    f'{name}: {project} has no 1.x; {HOME[project]} has most '
                    'of it, under other names',
                )
    return module


def _is_import(node: Any) -> bool:
    return isinstance(node, (cst.Import, cst.ImportFrom))


def _modules(node: cst.Import | cst.ImportFrom) -> list[str]:
    if isinstance(node, cst.ImportFrom):
        return [source_of(node)]
    return [dotted(x.name) for x in node.names]


RULE = Rule(
    'old_projects',
    'imports of projects that have no 1.x',
    apply,
    ('mmgen', 'mmedit'),
)
