import dataclasses
import itertools

import pytest

from mmamp.models.base.update_schedule import UpdateSchedule

RUNS = [
    UpdateSchedule(*numbers)
    for numbers in itertools.product(
        (1, 2, 3), (1, 2, 8), (1, 2), (1, 3, 8), (1, 5, 16, 29)
    )
]


def turns(schedule, max_iters=None):
    max_iters = max_iters or schedule.max_iters
    return [schedule.generator_turn(i) for i in range(max_iters)]


def test_one_step_each():
    assert turns(UpdateSchedule(1, 1, 1, 1, max_iters=4), 4) == [1, 1, 1, 1]


def test_accumulation():
    schedule = UpdateSchedule(1, 8, 1, 8, max_iters=20)
    assert schedule.cycle == 8
    assert schedule.full_turn == 8
    assert turns(schedule, 20) == [0] * 7 + [8] + [0] * 7 + [8] + [0] * 3 + [4]


def test_several_steps_of_each():
    schedule = UpdateSchedule(
        discriminator_steps=3,
        discriminator_counts=2,
        generator_steps=2,
        generator_counts=4,
        max_iters=12,
    )
    assert turns(schedule, 12) == [0] * 5 + [8] + [0] * 5 + [8]


class TestWholeRun:
    """Of each of ``RUNS``."""

    def test_the_turns_are_those_that_the_counts_promise(self):
        for schedule in RUNS:
            made = turns(schedule)
            assert sum(made) == schedule.generator_max_counts, schedule
            for i in range(schedule.max_iters):
                before = schedule.generator_counts_before(i)
                assert before == sum(made[:i]), (schedule, i)

    def test_a_turn_comes_at_the_end_of_a_cycle_and_of_the_run_alone(self):
        for schedule in RUNS:
            for i, turn in enumerate(turns(schedule)):
                if (i + 1) % schedule.cycle == 0:
                    assert turn == schedule.full_turn, (schedule, i)
                elif i + 1 < schedule.max_iters:
                    assert turn == 0, (schedule, i)

    def test_the_last_turn_is_in_proportion(self):
        for schedule in RUNS:
            done = schedule.max_iters % schedule.cycle
            if done == 0:
                continue
            last = schedule.generator_turn(schedule.max_iters - 1)
            exact = schedule.full_turn * done / schedule.cycle
            assert exact <= last < exact + 1, schedule
            assert 1 <= last <= schedule.full_turn, schedule


def test_an_unknown_end():
    schedule = UpdateSchedule(1, 4, 1, 4)
    assert schedule.generator_max_counts == -1
    assert turns(schedule, 8) == [0, 0, 0, 4, 0, 0, 0, 4]


def test_cannot_be_changed_under_way():
    schedule = UpdateSchedule(1, 1, 1, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.max_iters = 3
