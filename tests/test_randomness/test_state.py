import random

import numpy as np
import pytest
import torch

from mmamp.randomness.position import seed_at
from mmamp.randomness.state import part_ranks, rng_state, set_rng_state
from mmamp.randomness.watch import DrawWatch, preserved


def draw():
    # An odd number of normal ones: numpy and Python keep the second half.
    return (
        random.gauss(0, 1),
        np.random.randn(3).tolist(),
        torch.randn(3).tolist(),
    )


def test_state_goes_round_through_a_file(tmp_path):
    draw()
    torch.save(rng_state(), tmp_path / 'state.pth')
    expected = draw(), draw()
    set_rng_state(torch.load(tmp_path / 'state.pth', weights_only=True))
    assert (draw(), draw()) == expected


def test_seeded_by_position_and_put_back():
    np.random.seed(0)  # so that numpy has kept no second half
    set_rng_state(state := rng_state())
    expected = draw()
    set_rng_state(state)
    with preserved():
        seed_at((1, 2))
        first = draw()
    assert draw() == expected
    with preserved():
        seed_at((1, 2))
        assert draw() == first
    with preserved():
        seed_at((2, 1))
        second = draw()
    for a, b in zip(first, second, strict=True):
        assert a != b


def test_put_back_when_nested():
    set_rng_state(state := rng_state())
    expected = np.random.rand()
    set_rng_state(state)
    with preserved():
        seed_at((1,))
        inner = np.random.rand(), np.random.rand()
        seed_at((1,))
        assert np.random.rand() == inner[0]
        with preserved():
            seed_at((2,))
            np.random.rand()
        assert np.random.rand() == inner[1]
    assert np.random.rand() == expected


class TestWatch:
    @pytest.mark.parametrize(
        'code',
        [
            random.random,
            lambda: random.gauss(0, 1),
            lambda: random.seed(3),
            np.random.rand,
            np.random.randn,
            lambda: np.random.seed(3),
            lambda: torch.randn(3),
            lambda: torch.manual_seed(3),
            draw,
        ],
    )
    def test_tells_of_each_draw_and_puts_it_back(self, code):
        np.random.seed(0)  # so that numpy has kept no second half
        set_rng_state(state := rng_state())
        expected = draw()
        set_rng_state(state)
        watch = DrawWatch(0)
        for _ in range(2):
            with watch.watching():
                pass
            assert not watch.drawn
            with watch.watching():
                code()
            assert watch.drawn
        assert draw() == expected

    def test_puts_back_what_failing_code_drew(self):
        set_rng_state(state := rng_state())
        expected = random.random(), np.random.rand(), torch.rand(1)
        set_rng_state(state)
        watch = DrawWatch(0)
        with pytest.raises(KeyError), watch.watching():
            dict.fromkeys([1])[draw()[0]]
        assert (random.random(), np.random.rand(), torch.rand(1)) == expected

    def test_one_in_the_other(self):
        outer, inner = DrawWatch(0), DrawWatch(0)
        np.random.seed(0)  # so that numpy has kept no second half
        set_rng_state(state := rng_state())
        expected = draw()
        set_rng_state(state)
        for watch in (inner, outer):
            with outer.watching():
                with watch.watching():
                    draw()
                assert watch.drawn
            assert not outer.drawn
        assert draw() == expected

    def test_draws_elsewhere_are_none_of_its_own(self):
        watch = DrawWatch(0)
        draw()
        with preserved():
            seed_at((1,))
            draw()
        with watch.watching():
            pass
        assert not watch.drawn


def test_ranks_that_were_seeded_alike_part():
    drawn = []
    state = rng_state()
    for rank in (0, 0, 1, 1, 2):
        set_rng_state(state)
        part_ranks(rank)
        drawn.append(draw())
    set_rng_state(state)
    assert drawn[0] == drawn[1] == draw()
    assert drawn[2] == drawn[3]
    for one, other in ((0, 2), (0, 4), (2, 4)):
        for a, b in zip(drawn[one], drawn[other], strict=True):
            assert a != b
