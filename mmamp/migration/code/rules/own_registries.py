"""Registries that a project makes itself, of the names that are one now.

The classes of the migrated files are in the registries of what it is for, so
that those of the project stay empty: that is marked.
"""

from collections.abc import Sequence
from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.moves import REGISTRIES
from mmamp.migration.code.names import dotted
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.qualified import Names
from mmamp.migration.rule import Rule

REGISTRY = {
    *('mmcv.Registry', 'mmcv.utils.Registry', 'mmcv.utils.registry.Registry'),
}


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Mark them in a file."""
    names = notes.names(module)
    own: set[str] = set()
    actions: dict[cst.CSTNode, Sequence[Any]] = {}
    for line in module.body:
        made = _made(line, names, own)
        own |= set(made)
        old = [x for x in made if x in REGISTRIES]
        if old:
            new = REGISTRIES[old[0]]
            reason = (
                f'{", ".join(old)} of the migrated files is '
                f'{notes.project.registry}.{new}, so that this one stays '
                'empty: import that here, and build of it'
            )
            actions[line] = [notes.todo(line, reason)]
    return replace(module, actions)


def _made(line: Any, names: Names, own: set[str]) -> list[str]:
    """Return the names that a statement gives a registry of the project's."""
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return []
    node = line.body[0]
    if not isinstance(node, cst.Assign):
        return []
    value = node.value
    is_new = isinstance(value, cst.Call) and names.is_one_of(
        value.func, REGISTRY
    )
    if not is_new and dotted(value) not in own:
        return []
    return [x for y in node.targets if (x := dotted(y.target))]


RULE = Rule(
    'own_registries',
    'registries that a project makes itself',
    apply,
    ('Registry',),
)
