"""Reports what an earlier run has left to do."""

import libcst as cst

from mmamp.migration.code.notes import Notes
from mmamp.migration.code.tree import comments
from mmamp.migration.findings import MARK, Outcome
from mmamp.migration.rule import Rule


def apply(module: cst.Module, notes: Notes) -> cst.Module:
    """List the marks that are in the file."""
    for comment in comments(module):
        _, _, reason = comment.value.partition(f'{MARK}:')
        if reason:
            notes.say(comment, Outcome.TODO, reason.strip())
    return module


RULE = Rule('earlier_marks', 'what an earlier run has marked', apply, (MARK,))
