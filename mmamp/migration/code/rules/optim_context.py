"""Forward passes and losses run in the ``optim_context`` of the wrapper.

That is where autocast is on.
"""

import libcst as cst

from mmamp.migration.code.contexts import Contexts
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.train_steps import change
from mmamp.migration.rule import Rule


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    names = notes.names(module)
    return change(
        module,
        lambda step: (
            Contexts(step.function, step.optimizer, notes, names).function
        ),
    )


RULE = Rule(
    'optim_context',
    'where autocast is on in train_step',
    apply,
    ('update_params', '.backward'),
)
