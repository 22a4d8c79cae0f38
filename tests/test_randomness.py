import random

import numpy as np
import torch

from mmamp.randomness import (
    part_ranks,
    preserved,
    rng_state,
    seed_at,
    set_rng_state,
)


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
