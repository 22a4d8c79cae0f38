import re

import pytest
import torch
from torch import nn

from mmamp.precision.bypassed import BypassedIslands
from mmamp.precision.placement import place, places_of
from mmamp.precision.rules import parse_rule

SELF = 'attention.out_proj'


def found(dtypes, call=True):
    """Train attention under islands of these dtypes; what was bypassed."""
    net = nn.ModuleDict(dict(attention=nn.MultiheadAttention(4, 2)))
    rules = [
        parse_rule(dict(pattern=re.escape(name), dtype=dtype))
        for name, dtype in dtypes.items()
    ]
    watched = BypassedIslands(place(rules, places_of(net)))
    watched.watch()
    if call:
        x = torch.randn(3, 1, 4)
        net['attention'](x, x, x)[0].float().sum().backward()
    bypasses = watched.found()
    assert not watched.found()  # each once
    watched.stop()
    return bypasses, watched


@pytest.mark.parametrize(
    ('around', 'is_told'),
    [
        ({}, True),
        ({'attention': torch.float32}, False),
        ({'attention': torch.bfloat16}, True),
        # The nearest decides.
        ({'': torch.float32, 'attention': torch.bfloat16}, True),
        ({'': torch.bfloat16, 'attention': torch.float32}, False),
    ],
)
def test_an_island_around_it_may_do_the_same(around, is_told):
    bypasses, _ = found({**around, SELF: torch.float32})
    told = [x for x in bypasses if x.placed.name == SELF]
    assert bool(told) == is_told
    for bypass in told:
        assert bypass.by_weights
        assert bypass.pattern == 'attention'


def test_what_is_not_trained_is_waited_for():
    bypasses, watched = found({SELF: torch.float32}, call=False)
    assert not bypasses
    assert watched.is_done  # since it was stopped
