"""Forward passes and losses run in the ``optim_context`` of the wrapper.

That is where autocast is on.
"""

import libcst as cst

from ..contexts import Contexts
from ..notes import Notes
from ..train_steps import change

NAME = 'optim_context'
WORDS = ('update_params', '.backward')


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Convert a file."""
    return change(
        module,
        lambda step: Contexts(step.function, step.optimizer, notes).function,
    )
