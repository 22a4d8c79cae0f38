import pytest

from mmamp.utils.checks import (
    check_bool,
    check_choice,
    check_int,
    check_power_of_2,
    check_weight,
)


@pytest.mark.parametrize('value', [True, False])
def test_yes_or_no(value):
    assert check_bool('x', value) is value


@pytest.mark.parametrize('value', [1, 0, 'True', None])
def test_neither_yes_nor_no(value):
    with pytest.raises(ValueError, match='x must be True or False, but got'):
        check_bool('x', value)


@pytest.mark.parametrize(('value', 'low'), [(1, 1), (7, 1), (0, 0), (-2, -3)])
def test_valid(value, low):
    assert check_int('x', value, low) == value


@pytest.mark.parametrize('value', [0, -1, 1.0, '1', None, True])
def test_says_what_was_given_and_what_is_valid(value):
    with pytest.raises(ValueError, match=r'steps must be an int >= 1, but'):
        check_int('steps', value)


def test_the_largest_int():
    assert check_int('x', 5, 2, 5) == 5
    with pytest.raises(ValueError, match='x must be an int from 2 to 5, but'):
        check_int('x', 6, 2, 5)


@pytest.mark.parametrize(('value', 'exponent'), [(2, 1), (4, 2), (256, 8)])
def test_powers_of_2(value, exponent):
    assert check_power_of_2('x', value, low=2) == exponent


@pytest.mark.parametrize('value', [1, 3, 6, -4, 4.0, '4', None])
def test_no_powers_of_2(value):
    with pytest.raises(ValueError, match=f'of 2 from 2 on, but got {value!r}'):
        check_power_of_2('x', value, low=2)


def test_choices():
    assert check_choice('x', 'b', ('a', 'b')) == 'b'
    for value in ('c', None, []):
        with pytest.raises(ValueError, match="x=.* give one of 'a', 'b'$"):
            check_choice('x', value, dict(a=1, b=2))


@pytest.mark.parametrize('value', [0, 1, 0.5, 1e9])
def test_check_weight(value):
    assert check_weight('x', value) == value


@pytest.mark.parametrize('value', [-1, -0.1, True, '1', None, float('nan')])
def test_weights_that_are_none(value):
    with pytest.raises(ValueError, match='x must be a number >= 0, but got'):
        check_weight('x', value)
