import pytest

from mmamp.engine.optimizers.accumulation import window


def windows(num, **kwargs):
    return [
        window(i, **kwargs) for i in range(kwargs.get('init_counts', 0), num)
    ]


def test_full_windows():
    assert windows(4, counts=2) == [(0, 2), (0, 2), (2, 4), (2, 4)]


def test_the_last_is_cut():
    assert windows(5, counts=3, max_counts=5)[3:] == [(3, 5), (3, 5)]


def test_the_first_of_a_resumed_run_has_what_is_left():
    assert windows(8, counts=4, init_counts=2) == [(2, 4)] * 2 + [(4, 8)] * 4


def test_cut_at_both_ends():
    assert window(5, counts=8, init_counts=5, max_counts=7) == (5, 7)


@pytest.mark.parametrize('max_counts', [-1, 4])
def test_goes_on_after_the_end(max_counts):
    assert window(6, counts=4, max_counts=max_counts) == (4, 8)
