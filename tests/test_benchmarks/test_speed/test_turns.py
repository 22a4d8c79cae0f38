"""Of turns, as the process that trains sees them."""

from types import SimpleNamespace

import pytest
from mmengine.logging import HistoryBuffer

from benchmarks.speed import turns as module
from benchmarks.speed.turns import Turns, TurnsHook, fill
from mmamp.logging.scalar_history import ScalarHistory


class Pipe:
    def __init__(self, *asked):
        self.asked, self.sent = list(asked), []

    def recv(self):
        return self.asked.pop(0)

    def send(self, value):
        self.sent.append(value)


def test_a_turn_is_timed_from_its_first_iteration_to_its_last(monkeypatch):
    clock = iter([10.0, 13.0, 20.0, 21.0, 30.0])
    monkeypatch.setattr(module.time, 'perf_counter', lambda: next(clock))
    pipe = Pipe(2, 1, None)
    turns = Turns(pipe)
    assert turns.begin()
    assert [turns.done(), turns.done(), turns.done()] == [True, True, False]
    assert pipe.sent == [3.0, 1.0]


def runner():
    return SimpleNamespace(
        iter=0,
        train_loop=SimpleNamespace(stop_training=False),
        message_hub=SimpleNamespace(log_scalars={}),
    )


def test_the_hook_ends_the_run_when_no_turn_comes():
    run, hook = runner(), TurnsHook(Turns(Pipe(2, None)))
    hook.before_train(run)
    hook.after_train_iter(run)
    assert not run.train_loop.stop_training
    hook.after_train_iter(run)
    assert run.train_loop.stop_training


def test_a_run_without_a_turn_does_not_begin():
    run = runner()
    TurnsHook(Turns(Pipe(None))).before_train(run)
    assert run.train_loop.stop_training


@pytest.mark.parametrize('kind', [HistoryBuffer, ScalarHistory])
def test_filled_histories_are_what_so_many_iterations_leave(kind):
    scalars = dict(loss=kind([1.0], [1], max_length=1000))
    fill(scalars, 5000)
    values, counts = scalars['loss'].data
    kept = 1000 if kind is ScalarHistory else 5000
    assert len(values) == len(counts) == kept
    assert type(scalars['loss']) is kind
