import re

from hypothesis import given
from hypothesis import strategies as st

from mmamp.report.mending import NoMoreTrials, rules_for, smallest

NAMES = [f'layers.{i}' for i in range(24)]


@given(st.sets(st.sampled_from(NAMES), min_size=1))
def test_finds_just_those_that_are_needed(needed):
    tried = []

    def mends(modules):
        tried.append(modules)
        return needed <= set(modules)

    assert set(smallest(NAMES, mends)) == needed
    assert len(tried) < 800


def test_one_of_many_takes_few_trials():
    tried = []

    def mends(modules):
        tried.append(modules)
        return NAMES[17] in modules

    assert smallest(NAMES, mends) == [NAMES[17]]
    assert len(tried) < 12


def test_what_cannot_be_mended():
    assert smallest(NAMES, lambda modules: False) is None
    assert smallest([], lambda modules: True) is None


def test_rules_match_the_names_and_nothing_else():
    (rule,) = rules_for(['layers.1'])
    assert rule['dtype'] == 'float32'
    assert re.fullmatch(rule['pattern'], 'layers.1')
    assert not re.fullmatch(rule['pattern'], 'layersX1')


def test_the_smallest_so_far_when_trials_run_out():
    tried = []

    def mends(modules):
        tried.append(modules)
        if len(tried) > 3:
            raise NoMoreTrials
        return NAMES[2] in modules

    found = smallest(NAMES, mends)
    assert NAMES[2] in found
    assert 1 < len(found) < len(NAMES)

    def at_once(modules):
        raise NoMoreTrials

    assert smallest(NAMES, at_once) is None
