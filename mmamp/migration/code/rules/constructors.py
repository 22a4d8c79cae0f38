"""Constructors of optimizers make wrappers now, and are told so."""

from collections.abc import Sequence
from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.names import of_type
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.qualified import Names
from mmamp.migration.rule import Rule

REASONS = {
    '__init__': 'it is called with optim_wrapper_cfg, of which optimizer is '
    'the optimizer, in place of optimizer_cfg',
    '__call__': 'it returns an optimizer wrapper of optim_wrapper_cfg, and '
    'not the optimizer',
}


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Mark what has a constructor of its own."""
    names = notes.names(module)
    actions: dict[cst.CSTNode, Sequence[Any]] = {}
    for owner in of_type(module, cst.ClassDef):
        if not _is_constructor(owner, names):
            continue
        for method in owner.body.body:
            if not isinstance(method, cst.FunctionDef):
                continue
            reason = REASONS.get(method.name.value)
            params = {x.name.value for x in method.params.params}
            if reason and 'optim_wrapper_cfg' not in params:
                actions[method] = [notes.todo(method, reason)]
    return replace(module, actions)


def _is_constructor(owner: cst.ClassDef, names: Names) -> bool:
    bases = {names.last(x.value) for x in owner.bases}
    if bases & {'DefaultOptimizerConstructor'}:
        return True
    return any(
        names.last(x) == 'OPTIMIZER_BUILDERS'
        for y in owner.decorators
        for x in of_type(y, cst.Name)
    )


RULE = Rule(
    'constructors',
    'constructors of optimizers',
    apply,
    ('DefaultOptimizerConstructor', 'OPTIMIZER_BUILDERS'),
)
