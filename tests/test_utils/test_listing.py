import pytest

from mmamp.utils.listing import listed


@pytest.mark.parametrize(
    ('num', 'text'),
    [(0, ''), (1, 'a'), (2, 'a, b'), (3, 'a, b and 1 more')],
)
def test_listed(num, text):
    assert listed('abc'[:num], 2) == text
