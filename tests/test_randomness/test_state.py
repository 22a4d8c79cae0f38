import random

import torch
from draws import draw

from mmamp.randomness.state import part_ranks, rng_state, set_rng_state


def test_state_goes_round_through_a_file(tmp_path):
    draw()
    torch.save(rng_state(), tmp_path / 'state.pth')
    expected = draw(), draw()
    set_rng_state(torch.load(tmp_path / 'state.pth', weights_only=True))
    assert (draw(), draw()) == expected


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


def test_a_run_that_goes_on_without_its_states():
    """None draws again what it drew when the run began."""
    drawn = set()
    for rank in range(3):
        for iteration in (0, 5, 6):
            torch.manual_seed(0)
            part_ranks(rank, iteration)
            drawn.add((torch.rand(()).item(), random.random()))
    assert len(drawn) == 9
