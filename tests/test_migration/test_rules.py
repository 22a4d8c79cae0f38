"""One rule, one file, one test: of configs as of code."""

from pathlib import Path

import pytest

from mmamp.migration.code import rules as code
from mmamp.migration.config import rules as config
from mmamp.migration.rule import Rule

KINDS = {'code': code, 'config': config}
TESTS = Path(__file__).parent


@pytest.mark.parametrize('kind', KINDS)
def test_a_rule_is_named_by_its_file(kind):
    rules = KINDS[kind]
    names = [x.name for x in rules.RULES]
    assert len(set(names)) == len(names)
    for rule in rules.RULES:
        assert isinstance(rule, Rule)
        assert getattr(rules, rule.name).RULE is rule


@pytest.mark.parametrize('kind', KINDS)
def test_every_file_of_rules_is_a_rule(kind):
    rules = KINDS[kind]
    files = {x.stem for x in Path(rules.__file__).parent.glob('*.py')}
    assert files == {x.name for x in rules.RULES} | {'__init__'}


@pytest.mark.parametrize('kind', KINDS)
def test_every_rule_has_its_test(kind):
    folder = TESTS / f'test_{kind}' / 'test_rules'
    for rule in KINDS[kind].RULES:
        assert list(folder.glob(f'test_{rule.name}*.py'))


@pytest.mark.parametrize('kind', KINDS)
def test_rules_say_what_they_are_about(kind):
    said = [x.description for x in KINDS[kind].RULES]
    assert all(said)
    assert len(set(said)) == len(said)


def test_words_tell_what_a_rule_may_concern():
    rule = Rule('some', 'something', print, ('this', 'that'))
    assert rule.may_concern('not that')
    assert not rule.may_concern('another')
    assert Rule('any', 'anything', print).may_concern('')
