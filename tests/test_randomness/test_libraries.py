"""Generators that libraries of transforms have of their own."""

import sys
from types import ModuleType

import numpy as np
import pytest

from mmamp.randomness.libraries import (
    library_states,
    seed_libraries,
    set_library_states,
)
from mmamp.randomness.position import seed_at
from mmamp.randomness.watch import DrawWatch, preserved

NAME = 'imgaug.random'


class Generator:
    """As imgaug 0.4 wraps one of numpy's, which numpy 2 cannot import."""

    def __init__(self):
        self.of_numpy = np.random.Generator(np.random.SFC64(5))

    def draw(self):
        return self.of_numpy.random()

    @property
    def state(self):
        return self.of_numpy.bit_generator.state

    @state.setter
    def state(self, value):
        self.of_numpy.bit_generator.state = value


@pytest.fixture
def module(monkeypatch):
    """The part of imgaug that has the generator, which is not there yet."""
    module = ModuleType(NAME)
    module.GLOBAL_RNG = None

    def seed(entropy):
        module.GLOBAL_RNG.state = np.random.SFC64(entropy).state

    module.seed = seed
    monkeypatch.setitem(sys.modules, NAME, module)
    return module


def test_nothing_is_made_where_there_is_none(module):
    np.random.seed(0)
    expected = np.random.rand()
    np.random.seed(0)
    seed_libraries(3)
    set_library_states(library_states())
    assert module.GLOBAL_RNG is None
    assert np.random.rand() == expected


def test_what_it_draws_depends_on_the_position(module):
    module.GLOBAL_RNG = generator = Generator()
    seen = []
    for position in ((0, 0, 7), (0, 0, 8), (0, 0, 7)):
        seed_at(position)
        seen.append(generator.draw())
        generator.draw()
    assert seen[0] == seen[2] != seen[1]


def test_it_is_put_back_and_its_draws_are_told(module):
    module.GLOBAL_RNG = generator = Generator()
    before = generator.state
    expected, generator.state = generator.draw(), before
    with preserved() as put_back:
        seed_at((1, 2))
        generator.draw()
        with put_back():
            assert generator.draw() == expected
    watch = DrawWatch(0)
    with watch.watching():
        pass
    assert not watch.drawn
    with watch.watching():
        generator.draw()
    assert watch.drawn
    assert generator.draw() == expected
