import dataclasses
import itertools

import pytest

from mmamp.models.base.update_schedule import UpdateSchedule

SCHEDULES = list(itertools.product((1, 2, 3), (1, 2, 8), (1, 2), (1, 3, 8)))


def turns(schedule, max_iters):
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


@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('max_iters', [1, 5, 16, 29])
class TestWholeRun:
    def test_the_turns_are_those_that_the_counts_promise(
        self, schedule, max_iters
    ):
        schedule = UpdateSchedule(*schedule, max_iters=max_iters)
        made = turns(schedule, max_iters)
        assert sum(made) == schedule.generator_max_counts
        for i in range(max_iters):
            assert schedule.generator_counts_before(i) == sum(made[:i])

    def test_a_turn_comes_at_the_end_of_a_cycle_and_of_the_run_alone(
        self, schedule, max_iters
    ):
        schedule = UpdateSchedule(*schedule, max_iters=max_iters)
        for i, turn in enumerate(turns(schedule, max_iters)):
            if (i + 1) % schedule.cycle == 0:
                assert turn == schedule.full_turn
            elif i + 1 < max_iters:
                assert turn == 0

    def test_the_last_turn_is_in_proportion(self, schedule, max_iters):
        schedule = UpdateSchedule(*schedule, max_iters=max_iters)
        done = max_iters % schedule.cycle
        if done == 0:
            return
        last = schedule.generator_turn(max_iters - 1)
        exact = schedule.full_turn * done / schedule.cycle
        assert exact <= last < exact + 1
        assert 1 <= last <= schedule.full_turn


def test_an_unknown_end():
    schedule = UpdateSchedule(1, 4, 1, 4)
    assert schedule.generator_max_counts == -1
    assert turns(schedule, 8) == [0, 0, 0, 4, 0, 0, 0, 4]


def test_cannot_be_changed_under_way():
    schedule = UpdateSchedule(1, 1, 1, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.max_iters = 3
