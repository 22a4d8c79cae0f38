"""The time that a run takes still."""

from types import SimpleNamespace

import pytest
from mmengine.logging import MessageHub

from mmamp.launcher import eta
from mmamp.launcher.eta import EtaHook


@pytest.fixture
def run(monkeypatch):
    """Tell the time left after each iteration, by how long each took."""

    def run(seconds, of, begin=0):
        clock = [100.0]
        monkeypatch.setattr(eta.time, 'monotonic', lambda: clock[0])
        runner = SimpleNamespace(
            iter=begin, max_iters=of, message_hub=MessageHub(f'{seconds}')
        )
        hook = EtaHook()
        hook.before_train(runner)
        found = []
        for taken in seconds:
            clock[0] += taken
            hook.after_train_iter(runner, 0)
            runner.iter += 1
            found.append(hook.seconds)
        info = runner.message_hub.runtime_info
        assert info.get('eta') == found[-1]
        return found

    return run


def test_the_first_iterations_do_not_count(run):
    found = run([60.0, 5.0] + [0.5] * 48, of=1000)
    assert found[0] is None  # nobody knows
    # The second line of a logger that logs each ten.
    assert found[19] == pytest.approx(980 * 0.5)
    assert found[-1] == pytest.approx(950 * 0.5)


def test_from_the_second_iteration_on(run):
    assert run([60.0, 0.5, 0.5], of=10)[1:] == pytest.approx([4.0, 3.5])


def test_validation_counts(run):
    """As it does on the clock: each hundredth takes 10 s more."""
    found = run(([0.1] * 99 + [10.1]) * 5, of=1000)
    assert found[-1] == pytest.approx(500 * 0.2, rel=0.03)


def test_a_run_that_goes_on(run):
    found = run([60.0] + [0.5] * 30, of=1000, begin=900)
    assert found[-1] == pytest.approx(69 * 0.5)
