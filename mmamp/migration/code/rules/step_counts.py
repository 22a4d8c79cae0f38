"""Settings that count otherwise in a migrated config are named."""

from typing import Any

import libcst as cst

from mmamp.migration.code.names import find
from mmamp.migration.code.notes import Notes
from mmamp.migration.rule import Rule

NEW = {
    'disc_steps': 'discriminator_steps, an argument of the model, which '
    'counts updates and not calls of train_step',
    'gen_steps': 'generator_steps, an argument of the model',
    'batch_accumulation_steps': 'accumulative_counts of each optim_wrapper',
}


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """Look at a file; nothing is converted."""
    for node in find(module, _is_setting):
        name = node.evaluated_value
        notes.warned(
            node, f'a migrated config has no {name}: it is {NEW[name]}'
        )
    return module


def _is_setting(node: Any) -> bool:
    return isinstance(node, cst.SimpleString) and node.evaluated_value in NEW


RULE = Rule(
    'step_counts',
    'settings that count otherwise in a migrated config',
    apply,
    tuple(NEW),
)
