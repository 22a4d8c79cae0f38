"""A class that has a ``train_step`` is a ``BaseModel`` in 1.x."""

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.names import dotted
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.train_steps import train_steps
from mmamp.migration.rule import Rule

MODULES = ('nn.Module', 'torch.nn.Module', 'BaseModule')
REASON = (
    'derive from mmengine.model.BaseModel, which has data_preprocessor and '
    'parse_losses, and define its forward(inputs, data_samples, mode)'
)


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Mark what is to be derived from another class."""
    owners = dict.fromkeys(step.owner for step in train_steps(module))
    return replace(
        module,
        {
            owner: [notes.todo(owner, REASON)]
            for owner in owners
            if any(dotted(base.value) in MODULES for base in owner.bases)
        },
    )


RULE = Rule(
    'base_model',
    'the base class of what has a train_step',
    apply,
    ('train_step',),
)
