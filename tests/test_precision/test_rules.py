"""Rules of precision, as `PrecisionHook` reads them."""

import pytest
import torch
from torch import nn

from mmamp.engine.hooks import PrecisionHook
from mmamp.precision.rules import parse_rule


@pytest.mark.parametrize(
    ('rules', 'error', 'match'),
    [
        ('normalisation', TypeError, 'must be a list of rules'),
        ([], ValueError, 'must not be empty'),
        ([3], TypeError, 'a rule must be a dict or a str, but got 3'),
        (
            ['norm'],
            ValueError,
            "no set of rules 'norm'; there are 'normalization', 'spectral_",
        ),
        ([dict(dtype='float32')], ValueError, 'has no pattern'),
        ([dict(pattern='a', typo=1)], ValueError, r"unknown keys \['typo'\]"),
        ([dict(pattern='(')], ValueError, 'no regular expression'),
        (
            [dict(pattern='a', dtype='half')],
            ValueError,
            "dtype='half' must be one of 'float32', 'bfloat16', 'float16'",
        ),
        ([dict(pattern='a', output_dtype=3)], ValueError, "'input'"),
        ([dict(pattern='a', clamp=0)], ValueError, 'clamp must be'),
        ([dict(pattern='a', dtype=None)], ValueError, 'changes nothing'),
    ],
)
def test_bad_rules(rules, error, match):
    with pytest.raises(error, match=match):
        PrecisionHook(rules)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('generator.to_rgb', True),
        ('generator.torgbs.3', False),
        ('g.b4.torgb', True),
        ('to_rgb_2', True),
        ('toRGB', True),
        ('g.to_image', True),
        ('to_rgba', False),
    ],
)
def test_what_to_rgb_is(name, expected):
    (rule,) = PrecisionHook(['to_rgb']).rules
    assert rule.matches(name, nn.Identity()) is expected


def test_a_pattern_spelt_as_a_set_is_a_pattern():
    """A module may be called `spectral_norm`."""
    (rule,) = PrecisionHook([dict(pattern='spectral_norm', clamp=2.0)]).rules
    layer = nn.Identity()
    assert rule.matches('spectral_norm', layer)
    rule.install(layer)
    assert layer(torch.tensor([3.0])).tolist() == [2.0]


def test_both_spellings_of_normalization():
    labels = ('normalization', 'normalisation')
    american, british = map(parse_rule, labels)
    assert (american.label, british.label) == labels
    for module in (nn.BatchNorm2d(2), nn.GroupNorm(1, 2), nn.Linear(2, 2)):
        assert american.matches('x', module) == british.matches('x', module)
    assert american.matches('x', nn.LayerNorm(2))
