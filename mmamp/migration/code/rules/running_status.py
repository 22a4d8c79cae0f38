"""Takes the number of the iteration from MMEngine's message hub.

MMGeneration's runner passed it as ``running_status['iteration']``, and models
counted for themselves where it did not.
"""

from collections.abc import Sequence
from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace, statement
from mmamp.migration.code.imports import add_import
from mmamp.migration.code.names import code, dotted, find, of_type
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.train_steps import TrainStep, train_steps
from mmamp.migration.rule import Rule

ITERATION = "MessageHub.get_current_instance().get_info('iter')"
COUNTER = 'self.iteration'


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    actions: dict[cst.CSTNode, Sequence[Any]] = {}
    for step in train_steps(module):
        actions.update(_actions(step, notes))
    if not actions:
        return module
    module = replace(module, actions)
    return add_import(module, 'mmengine.logging', 'MessageHub')


def _actions(
    step: TrainStep, notes: Notes
) -> dict[cst.CSTNode, Sequence[Any]]:
    actions: dict[cst.CSTNode, Sequence[Any]] = {}
    blocks = [x for x in of_type(step.function, cst.If) if _target(x)]
    inside = [line for x in blocks for line in _lines(x)]
    node: Any
    for node in [*blocks, *_lines(step.function)]:
        if node in inside or not (name := _target(node)):
            continue
        new = statement(f'{name} = {ITERATION}', node.leading_lines)
        actions[node] = [new]
        notes.changed(node, 'the message hub has the iteration')
    counters = [x for x in of_type(step.owner, cst.If) if _counts(x)]
    if _uses(step.owner) == sum(map(_uses, [*blocks, *counters])):
        actions.update({x: [] for x in counters})
    return actions


def _lines(node: cst.CSTNode) -> list[cst.SimpleStatementLine]:
    return of_type(node, cst.SimpleStatementLine)


def _target(node: cst.CSTNode) -> str:
    """Return the name a statement gives the iteration; empty if none."""
    if isinstance(node, cst.SimpleStatementLine):
        assign = node.body[0] if len(node.body) == 1 else None
        if (
            isinstance(assign, cst.Assign)
            and len(assign.targets) == 1
            and isinstance(assign.targets[0].target, cst.Name)
            and code(assign.value)
            in ("running_status['iteration']", 'running_status["iteration"]')
        ):
            return assign.targets[0].target.value
    if (
        isinstance(node, cst.If)
        and code(node.test) == 'running_status is not None'
        and len(node.body.body) == 1
        and isinstance(node.orelse, cst.Else)
        and _falls_back(node.orelse)
    ):
        return _target(node.body.body[0])
    return ''


def _falls_back(node: cst.Else) -> bool:
    """Tell whether a branch has the model's own counter, and nothing else."""
    used = {dotted(x) for x in of_type(node, cst.Attribute)}
    return used == {COUNTER} and len(node.body.body) <= 2


def _counts(node: cst.If) -> bool:
    """Recognize ``if hasattr(self, 'iteration'): self.iteration += 1``."""
    return (
        code(node.test).replace('"', "'") == "hasattr(self, 'iteration')"
        and node.orelse is None
        and [code(x).split('#')[0].strip() for x in node.body.body]
        == [f'{COUNTER} += 1']
    )


def _uses(node: cst.CSTNode) -> int:
    return len(
        find(
            node,
            lambda x: isinstance(x, cst.Attribute) and dotted(x) == COUNTER,
        )
    )


RULE = Rule(
    'running_status',
    'the number of the iteration in train_step',
    apply,
    ('running_status',),
)
