import numpy as np
from draws import draw

from mmamp.randomness.position import seed_at
from mmamp.randomness.state import rng_state, set_rng_state
from mmamp.randomness.watch import preserved


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
