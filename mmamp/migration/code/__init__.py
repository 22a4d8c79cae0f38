"""0.x code rewritten for 1.x.

A rule is a module of :mod:`mmamp.migration.code.rules` with

- ``NAME``: that of its file;
- ``WORDS``: a file that holds none of them is none of the rule's business;
- ``apply(module, notes) -> module``: converts a file that LibCST has parsed,
  and tells the notes what it did.
"""

from pathlib import Path
from types import ModuleType

import libcst as cst

from mmamp.migration.code.rules import (
    backward_helpers,
    base_model,
    ddp_reducer,
    earlier_marks,
    grad_callable,
    gradient_penalties,
    mmcv_attributes,
    moved_imports,
    old_projects,
    optim_context,
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
from mmamp.migration.findings import Finding, Outcome, Result, UnreadableSource
from mmamp.migration.sources import parse_source

from .blocks import comments_of_source
from .notes import Notes

__all__ = ['RULES', 'UnreadableSource', 'migrate_code']


RULES: tuple[ModuleType, ...] = (
    earlier_marks,
    precision_decorators,
    partial_fp16,
    backward_helpers,
    updates,
    ddp_reducer,
    running_status,
    grad_callable,
    gradient_penalties,
    step_return,
    optim_context,
    base_model,
    signature,
    parse_losses,
    registries,
    moved_imports,
    repeated_registration,
    mmcv_attributes,
    old_projects,
    step_counts,
)
"""The rules, in the order in which they are applied."""


def migrate_code(text: str, path: Path) -> Result:
    """Rewrite a Python file for 1.x.

    Args:
        text (str): The file.
        path (Path): Where it is, for the report.

    Returns:
        Result: The new text and what was done. What a rule cannot decide is
        left as it stands under a comment; a rule whose result would not parse
        or would lose a comment is not applied at all.

    Raises:
        UnreadableSource: If the text is not Python.

    Examples:
        >>> result = migrate_code(path.read_text(), path)
        >>> path.write_text(result.after)
    """
    module = parse_source(path, text)
    result = Result(path, text, text)
    if not any(word in text for rule in RULES for word in rule.WORDS):
        return result
    notes = Notes(module)
    for rule in RULES:
        if any(word in result.after for word in rule.WORDS):
            module = _apply(rule, module, notes)
            result.after = module.code
    result.findings = sorted(notes.findings, key=lambda x: x.line)
    result.rules = list(dict.fromkeys(notes.rules))
    return result


def _apply(rule: ModuleType, module: cst.Module, notes: Notes) -> cst.Module:
    """Apply a rule, or say that it could not be applied."""
    notes.rule = rule.NAME
    said, hooks = list(notes.findings), list(notes.rules)
    try:
        after: cst.Module = rule.apply(module, notes)
        _check(module.code, after.code)
        return after
    # Whatever a rule trips over, the file stays as it was.
    except Exception as error:
        notes.findings, notes.rules = said, hooks
        reason = f'could not be applied to this file: {error!r}'
        notes.findings.append(Finding(0, rule.NAME, Outcome.TODO, reason))
        return module


def _check(before: str, after: str) -> None:
    """Raise unless a result parses and has every comment."""
    if before == after:
        return
    compile(after, '<migrated>', 'exec', dont_inherit=True)
    left = comments_of_source(after)
    for comment in comments_of_source(before):
        if comment not in left:
            raise ValueError(f'the comment {comment!r} would be lost')
        left.remove(comment)
