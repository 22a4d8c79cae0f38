"""A class that has a ``train_step`` is a ``BaseModel`` in 1.x."""

import libcst as cst

from mmamp.migration.code.blocks import replace
from mmamp.migration.code.notes import Notes
from mmamp.migration.code.train_steps import train_steps
from mmamp.migration.rule import Rule

MODULES = {
    *('torch.nn.Module', 'torch.nn.modules.Module', 'BaseModule'),
    *('mmcv.runner.BaseModule', 'mmcv.runner.base_module.BaseModule'),
    *('mmengine.model.BaseModule', 'mmengine.model.base_module.BaseModule'),
}
REASON = (
    'derive from mmengine.model.BaseModel, which has data_preprocessor and '
    'parse_losses, and define its forward(inputs, data_samples, mode)'
)


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Mark what is to be derived from another class."""
    names = notes.names(module)
    owners = dict.fromkeys(step.owner for step in train_steps(module))
    return replace(
        module,
        {
            owner: [notes.todo(owner, REASON)]
            for owner in owners
            if any(
                names.is_one_of(base.value, MODULES) for base in owner.bases
            )
        },
    )


RULE = Rule(
    'base_model',
    'the base class of what has a train_step',
    apply,
    ('train_step',),
)
