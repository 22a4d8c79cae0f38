"""``optimizer['generator']`` of a model with one network is the one wrapper.

MMEditing had a dict of one optimizer for such a model, which a migrated config
has as one ``optim_wrapper``. A model of MMGeneration has an entry for each
network still, for one too. Where the configs are known, they decide.
"""

from typing import Any

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.names import dotted, of_type, swap
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.operations import mentions
from mmamp.migration.code.train_steps import (
    RUNNER_ARGUMENTS,
    TrainStep,
    calls_of,
    change,
    key_of,
    network_of,
)
from mmamp.migration.rule import Rule

MIXED = (
    'some configs of this model have one optim_wrapper, others one for each '
    'network: let all have the same'
)


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    return change(module, lambda step: _convert(step, notes))


def _convert(step: TrainStep, notes: Notes) -> cst.FunctionDef:
    function = step.function
    uses = [
        (x, key)
        for x in of_type(function.body, cst.Subscript)
        if (key := key_of(x, step.optimizer))
    ]
    keys = {key for _, key in uses}
    if len(keys) != 1:
        return function
    (key,) = keys
    known = notes.project.wrappers_of(step.owner.name.value)
    if len({x.is_single for x in known}) > 1:
        first: Any = function.body.body[0]
        return replace(function, {first: [notes.todo(first, MIXED)]})
    if not _is_single(step, notes):
        if not known:
            notes.warned(
                uses[0][0],
                f'the config is to have an optim_wrapper with the entry {key}',
            )
        return function
    if not known:
        notes.warned(
            uses[0][0],
            'the config is to have one optim_wrapper, as a migrated one has '
            f'in place of optimizers=dict({key[1:-1]}=...)',
        )
    names: dict[cst.CSTNode, cst.CSTNode] = {
        x: cst.Name(step.optimizer) for x, _ in uses
    }
    for call in calls_of(function.body, 'optim_context'):
        if [dotted(x.value) for x in call.args] == [network_of(key)]:
            names[call.args[0].value] = cst.Name('self')
    return swap(function, names)


def _is_single(step: TrainStep, notes: Notes) -> bool:
    known = notes.project.wrappers_of(step.owner.name.value)
    if known:
        return next(iter(known)).is_single
    params = {x.name.value for x in step.function.params.params}
    is_of_mmgen = params & set(RUNNER_ARGUMENTS) or any(
        mentions(step.function.body, x) for x in RUNNER_ARGUMENTS
    )
    # What the parent does with the other networks is not known.
    return not is_of_mmgen and not calls_of(step.function.body, 'train_step')


RULE = Rule(
    'one_network',
    'the optimizer of the only network in train_step',
    apply,
    ('train_step',),
)
