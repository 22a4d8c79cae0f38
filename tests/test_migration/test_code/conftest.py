from pathlib import Path
from textwrap import dedent
from types import ModuleType

import libcst as cst
import pytest

from mmamp.migration.code import migrate_code
from mmamp.migration.code.blocks import comments_of_source
from mmamp.migration.code.notes import Notes
from mmamp.migration.findings import Outcome, Result

PATH = Path('model.py')


class Conversion:
    """What one rule made of a text."""

    def __init__(self, result: Result) -> None:
        self.text = result.after
        self.is_changed = result.is_changed
        self.rules = result.rules
        self.findings = result.findings

    def said(self, outcome: Outcome) -> list[tuple[int, str]]:
        found = [x for x in self.findings if x.outcome is outcome]
        return sorted((x.line, x.reason) for x in found)

    @property
    def todo(self) -> list[tuple[int, str]]:
        return self.said(Outcome.TODO)

    @property
    def warned(self) -> list[tuple[int, str]]:
        return self.said(Outcome.WARNED)


def run(rule: ModuleType, text: str) -> Conversion:
    module = cst.parse_module(text)
    notes = Notes(module)
    notes.rule = rule.RULE.name
    after = rule.RULE.apply(module, notes).code
    return Conversion(Result(PATH, text, after, notes.findings, notes.rules))


@pytest.fixture
def convert():
    """Apply a rule; what all rules have in common is checked here."""

    def apply(rule: ModuleType, text: str) -> Conversion:
        assert rule.__name__.endswith(f'.{rule.RULE.name}')
        text = dedent(text).lstrip('\n')
        assert not text.strip() or rule.RULE.may_concern(text)
        done = run(rule, text)
        compile(done.text, '<after>', 'exec')
        left = comments_of_source(done.text)
        for comment in comments_of_source(text):
            left.remove(comment)
        once = migrate_code(text, PATH).after
        assert migrate_code(once, PATH).after == once
        return done

    return apply


@pytest.fixture
def becomes(convert):
    """Check what a rule makes of a text."""

    def check(rule: ModuleType, before: str, after: str) -> Conversion:
        done = convert(rule, before)
        assert done.text == dedent(after).lstrip('\n')
        return done

    return check


@pytest.fixture
def stays(convert):
    """Check that a rule leaves a text alone."""

    def check(rule: ModuleType, text: str) -> Conversion:
        done = convert(rule, text)
        assert done.text == dedent(text).lstrip('\n')
        assert not done.todo
        return done

    return check
