import pytest

from mmamp.checks import check_int, check_weight


@pytest.mark.parametrize(('value', 'low'), [(1, 1), (7, 1), (0, 0), (-2, -3)])
def test_valid(value, low):
    assert check_int('x', value, low) == value


@pytest.mark.parametrize('value', [0, -1, 1.0, '1', None, True])
def test_says_what_was_given_and_what_is_valid(value):
    with pytest.raises(ValueError, match=r'steps must be an int >= 1, but'):
        check_int('steps', value)


@pytest.mark.parametrize('value', [0, 1, 0.5, 1e9])
def test_check_weight(value):
    assert check_weight('x', value) == value


@pytest.mark.parametrize('value', [-1, -0.1, True, '1', None, float('nan')])
def test_weights_that_are_none(value):
    with pytest.raises(ValueError, match='x must be a number >= 0, but got'):
        check_weight('x', value)
