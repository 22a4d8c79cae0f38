"""``_parse_losses`` of MMGeneration is ``parse_losses`` of ``BaseModel``."""

from typing import Any

import libcst as cst

from mmamp.migration.code.names import of_type, swap
from mmamp.migration.code.notes import Notes
from mmamp.migration.rule import Rule


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file, unless it has a ``_parse_losses`` of its own."""
    defined = {x.name.value for x in of_type(module, cst.FunctionDef)}
    if '_parse_losses' in defined:
        notes.outside(
            None, 'its own _parse_losses; BaseModel of MMEngine has one'
        )
        return module
    news: dict[Any, Any] = {}
    for call in of_type(module, cst.Call):
        func = call.func
        if (
            isinstance(func, cst.Attribute)
            and func.attr.value == '_parse_losses'
            and isinstance(func.value, cst.Name)
            and func.value.value == 'self'
        ):
            news[func.attr] = cst.Name('parse_losses')
            notes.changed(call, 'returns the loss and the log variables too')
    return swap(module, news)


RULE = Rule(
    'parse_losses',
    "calls of MMGeneration's _parse_losses",
    apply,
    ('_parse_losses',),
)
