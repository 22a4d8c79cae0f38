"""What is converted in code, one rule a file, in order."""

import libcst as cst

from mmamp.migration.code.notes import Notes
from mmamp.migration.rule import Rule

from . import (
    backward_helpers,
    base_model,
    constructors,
    ddp_reducer,
    earlier_marks,
    grad_callable,
    gradient_penalties,
    hooks,
    loggers,
    mmcv_attributes,
    moved_imports,
    old_projects,
    one_network,
    optim_context,
    own_registries,
    parse_losses,
    partial_fp16,
    precision_decorators,
    registries,
    repeated_registration,
    running_status,
    signature,
    step_counts,
    step_return,
    updates,
)

RULES: tuple[Rule[[cst.Module, Notes], cst.Module], ...] = (
    earlier_marks.RULE,
    precision_decorators.RULE,
    partial_fp16.RULE,
    backward_helpers.RULE,
    updates.RULE,
    ddp_reducer.RULE,
    running_status.RULE,
    grad_callable.RULE,
    gradient_penalties.RULE,
    step_return.RULE,
    optim_context.RULE,
    one_network.RULE,
    base_model.RULE,
    signature.RULE,
    parse_losses.RULE,
    constructors.RULE,
    own_registries.RULE,
    registries.RULE,
    loggers.RULE,
    hooks.RULE,
    moved_imports.RULE,
    repeated_registration.RULE,
    mmcv_attributes.RULE,
    old_projects.RULE,
    step_counts.RULE,
)
"""The rules, in the order in which they are applied."""
