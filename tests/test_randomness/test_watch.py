import random

import numpy as np
import pytest
import torch
from draws import draw

from mmamp.randomness.position import seed_at
from mmamp.randomness.state import rng_state, set_rng_state
from mmamp.randomness.watch import DrawWatch, preserved


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
