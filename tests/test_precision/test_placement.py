import pytest
import torch
from torch import nn

from mmamp.precision.islands import islands
from mmamp.precision.placement import place, places_of
from mmamp.precision.rules import parse_rule


def placed(model, *patterns, dtype='bfloat16'):
    rules = [parse_rule(dict(pattern=x, dtype=dtype)) for x in patterns]
    return place(rules, places_of(model))


@pytest.mark.parametrize('pattern', ['0', '.*'])
def test_what_makes_a_weight_is_no_part_of_a_rule(pattern):
    norm = nn.utils.parametrizations.spectral_norm
    found = placed(nn.Sequential(norm(nn.Linear(4, 4))), pattern)
    assert '0' in [x.name for x in found]
    assert not [x for x in found if 'parametrizations' in x.name]


def test_what_is_inside_follows_the_nearest_rule():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    rules = [
        parse_rule(dict(pattern=r'0\.0', dtype='float16')),
        parse_rule(dict(pattern='0', dtype='bfloat16', clamp=1.0)),
    ]
    found = {x.name: x for x in place(rules, places_of(model))}
    assert list(found) == ['0', '0.0', '0.1']
    assert found['0.0'].island.dtype is torch.float16
    inside = found['0.1']
    assert inside.island.dtype is torch.bfloat16
    assert inside.island.clamp is None  # which is of the whole
    assert not inside.is_matched
    assert [rule.matched for rule in rules] == [['0.0'], ['0']]


def test_no_dtype_nothing_inside():
    model = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    rule = parse_rule(dict(pattern='0', dtype=None, clamp=1.0))
    assert [x.name for x in place([rule], places_of(model))] == ['0']


def test_what_is_used_elsewhere_too_has_no_precision_of_its_own():
    shared = nn.Linear(2, 2)
    model = nn.ModuleDict(
        dict(a=nn.Sequential(shared), b=nn.Sequential(shared))
    )
    assert [x.name for x in placed(model, 'a')] == ['a']
    assert not islands(shared)
    assert [x.name for x in placed(model, 'a', 'b')] == ['a', 'b']
    assert not islands(shared)


def test_one_of_a_rule_in_two_places_is_one_island():
    shared = nn.Linear(2, 2)
    model = nn.ModuleDict(dict(a=nn.Sequential(shared, shared, nn.ReLU())))
    placed(model, 'a')
    assert len(islands(shared)) == 1
