import pytest
import torch

from mmamp.engine.optimizers.step_record import RECOVERY, StepRecord

INF = float('inf')
OUTCOMES = [(1.0, True), (INF, False), (2.0, True), (INF, False)]


def test_host_and_device_agree():
    host, device = StepRecord(), StepRecord()
    for norm, finite in OUTCOMES:
        host.add(torch.tensor(norm), finite)
        device.add(torch.tensor(norm), torch.tensor(finite))
        assert host.last_was_skipped is device.last_was_skipped is not finite
    for record in (host, device):
        stuck = 2 - RECOVERY
        assert record.state_dict() == dict(windows=4, skipped=2, stuck=stuck)
        assert record.grad_norm == 2
        assert all(
            type(v) in (int, float) for v in record.state_dict().values()
        )


def test_no_norm_before_the_first_finite_window():
    record = StepRecord()
    assert record.grad_norm is None
    record.add(torch.tensor(INF), False)
    assert record.grad_norm is None


def test_state_goes_round():
    record = StepRecord()
    record.add(torch.tensor(INF), torch.tensor(False))
    other = StepRecord()
    other.load_state_dict(record.state_dict())
    other.add(torch.tensor(INF), False)
    assert other.state_dict() == dict(windows=2, skipped=2, stuck=2)
    other.load_state_dict({})
    assert other.state_dict() == dict(windows=0, skipped=0, stuck=0)


def add_to_both(host, device, finite, at_minimum):
    norm = torch.tensor(1.0 if finite else INF)
    host.add(norm, finite, at_minimum)
    device.add(norm, torch.tensor(finite), torch.tensor(at_minimum))
    assert host.stuck == device.stuck
    return host.stuck


def test_stuck_counts_skips_at_the_minimum():
    host, device = StepRecord(), StepRecord()
    windows = [(False, False), (False, True), (False, True), (True, True)]
    windows += [(True, False)]  # the scale has grown
    for given, stuck in zip(windows, [0, 1, 2, 2, 0], strict=True):
        assert add_to_both(host, device, *given) == stuck


@pytest.mark.parametrize(('every', 'is_stuck'), [(16, True), (1000, False)])
def test_skips_now_and_then(every, is_stuck):
    """A lazy penalty that is never finite, and a stray window."""
    host, device = StepRecord(), StepRecord()
    most = 0
    for i in range(3000):
        most = max(most, add_to_both(host, device, i % every != 0, True))
    assert (most >= 20) == is_stuck
    assert most >= 1
