import pytest

from mmamp.checks import check_int


@pytest.mark.parametrize(('value', 'low'), [(1, 1), (7, 1), (0, 0), (-2, -3)])
def test_valid(value, low):
    assert check_int('x', value, low) == value


@pytest.mark.parametrize('value', [0, -1, 1.0, '1', None, True])
def test_says_what_was_given_and_what_is_valid(value):
    with pytest.raises(ValueError, match=r'steps must be an int >= 1, but'):
        check_int('steps', value)
