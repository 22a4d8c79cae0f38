import torch
from hypothesis import given
from hypothesis import strategies as st

from mmamp.report.histograms import HIGHEST, LOWEST, MOST_VALUES, Sizes


def test_counts_by_exponent():
    sizes = Sizes()
    values = [1.0, 1.99, -0.5, 0.0, -0.0, float('inf'), float('nan'), 65504.0]
    sizes.add(torch.tensor(values))
    assert dict(sizes.exponents) == {0: 2, -1: 1, 15: 1}
    assert sizes.zeros == 2
    assert sizes.nonfinite == 2
    assert sizes.total == 8
    assert sizes.share_below(0) == 1 / 8
    assert sizes.zero_share == sizes.nonfinite_share == 0.25


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_the_exponent_is_the_one_of_the_value(value):
    sizes = Sizes()
    sizes.add(torch.tensor([value]))
    if not value:
        assert sizes.zeros == 1
        return
    (exponent,) = sizes.exponents
    if LOWEST < exponent < HIGHEST:
        assert 2.0**exponent <= abs(value) < 2.0 ** (exponent + 1)


def test_low_precision_and_large_tensors():
    sizes = Sizes()
    sizes.add(torch.full((3, MOST_VALUES), 2.0**-24, dtype=torch.float16))
    assert set(sizes.exponents) == {-24}
    assert MOST_VALUES <= sizes.total <= 2 * MOST_VALUES


def test_goes_round_through_json():
    sizes = Sizes()
    sizes.add(torch.tensor([3.0, 0.0]))
    assert Sizes.of(sizes.state()) == Sizes({1: 1}, 1, 0)


def test_nothing_at_all():
    assert Sizes().zero_share == Sizes().share_below(3) == 0
