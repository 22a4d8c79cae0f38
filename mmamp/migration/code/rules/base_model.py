"""A class that has a ``train_step`` is a ``BaseModel`` in 1.x."""

import libcst as cst

from ..blocks import replace
from ..names import dotted
from ..notes import Notes
from ..train_steps import train_steps

NAME = 'base_model'
WORDS = ('train_step',)
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
