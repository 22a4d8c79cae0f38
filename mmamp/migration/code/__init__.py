"""0.x code rewritten for 1.x, by the rules of ``rules``, one a file."""

from pathlib import Path

import libcst as cst

from mmamp.migration.findings import Finding, Outcome, Result, UnreadableSource
from mmamp.migration.project import Project
from mmamp.migration.rule import Rule
from mmamp.migration.sources import parse_source

from .blocks import comments_of_source
from .notes import Notes
from .rules import RULES

__all__ = ['RULES', 'UnreadableSource', 'migrate_code']


def migrate_code(
    text: str, path: Path, project: Project | None = None
) -> Result:
    """Rewrite a Python file for 1.x.

    Args:
        text (str): The file.
        path (Path): Where it is, for the report.
        project (Project, optional): What is known beside it. Defaults to
            None: nothing.

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
    if not any(rule.may_concern(text) for rule in RULES):
        return result
    notes = Notes(module, project)
    for rule in RULES:
        if rule.may_concern(result.after):
            module = _apply(rule, module, notes)
            result.after = module.code
    result.findings = sorted(notes.findings, key=lambda x: x.line)
    result.rules = list(dict.fromkeys(notes.rules))
    return result


def _apply(
    rule: Rule[[cst.Module, Notes], cst.Module],
    module: cst.Module,
    notes: Notes,
) -> cst.Module:
    """Apply a rule, or say that it could not be applied."""
    notes.rule = rule.name
    said, hooks = list(notes.findings), list(notes.rules)
    try:
        after = rule.apply(module, notes)
        _check(module.code, after.code)
        return after
    # Whatever a rule trips over, the file stays as it was.
    except Exception as error:
        notes.findings, notes.rules = said, hooks
        reason = (
            f'could not be applied to this file, so that {rule.description} '
            f'is left to do: {error!r}'
        )
        notes.findings.append(Finding(0, rule.name, Outcome.TODO, reason))
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
