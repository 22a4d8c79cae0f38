import math

import pytest
import torch
from torch import nn

from benchmarks.weights.command import is_right
from benchmarks.weights.compare import Row
from benchmarks.weights.recipes import (
    build,
    from_json,
    noise,
    recipe_of,
    to_json,
)
from benchmarks.weights.tables import table


def test_noise_is_the_same_anywhere_and_looks_random():
    found = noise((1000, 10), seed=3)
    first = math.sin(12.9898 + 4 * 78.233) * 43758.5453
    wanted = ((first - math.floor(first)) * 2 - 1) * math.sqrt(3)
    assert found[0, 0].item() == pytest.approx(wanted, abs=1e-5)
    assert abs(found.mean()) < 0.05
    assert abs(found.std() - 1) < 0.05
    assert not torch.equal(found, noise((1000, 10), seed=4))


def test_a_recipe_is_of_a_trained_network():
    network = nn.Sequential(
        nn.utils.spectral_norm(nn.Conv2d(3, 8, 3)), nn.BatchNorm2d(8)
    )
    recipe = recipe_of(network)
    state = build(from_json(to_json(recipe)), seed=1)
    network.load_state_dict(state)
    assert (network[1].running_var > 0).all()
    assert network[1].running_mean.abs().min() > 0
    # Spectral norm's vectors are nearly those of the weight.
    weight = state['0.weight_orig'].flatten(1)
    sigma = state['0.weight_u'] @ weight @ state['0.weight_v']
    assert sigma == pytest.approx(
        torch.linalg.matrix_norm(weight, 2).item(), rel=0.01
    )


@pytest.mark.parametrize(
    ('changes', 'right'),
    [
        (dict(), True),
        (dict(output=1e-3), False),
        (dict(gradient=1e-2), False),
        (dict(dtype='float64', gradient=1e-4), False),
        (dict(dtype='float16', output=1e-2, gradient=1e-1), True),
        (dict(dtype='float16', cosine=0.998, ours=0.1), False),
        (dict(dtype='float16', cosine=0.998, ours=0.1, theirs=0.1), True),
        (dict(dtype='float16', ratio=1.02, ours=0.1), False),
        (dict(dtype='bfloat16', ratio=1.02, ours=0.1), True),
    ],
)
def test_bounds(changes, right):
    row = dict(
        dtype='float32',
        output=1e-6,
        gradient=1e-5,
        ours=0.0,
        theirs=0.0,
        cosine=1.0,
        ratio=1.0,
    )
    assert is_right(Row(**{**row, **changes})) is right


def test_the_table():
    row = dict(
        repository='mmagic',
        commit='0a560bb',
        case='DCGAN, small',
        network='generator',
        dtype='float32',
        output=0.0,
        gradient=1.23e-6,
        ours=2e-3,
        theirs=3e-3,
    )
    lower = dict(row, dtype='float16', output=1e-3)
    *_, last = table([dict(row, output=9.0), row, lower]).splitlines()
    assert last == (
        '| mmagic | `0a560bb` | DCGAN, small | generator | 0 | 1e-06 | 1e-03 '
        '| 2e-03 (3e-03) |  |  |'
    )
