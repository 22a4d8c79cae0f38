import torch

from mmamp.engine.optimizers.step_record import StepRecord

INF = float('inf')
OUTCOMES = [(1.0, True), (INF, False), (2.0, True), (INF, False)]


def test_host_and_device_agree():
    host, device = StepRecord(), StepRecord()
    for norm, finite in OUTCOMES:
        host.add(torch.tensor(norm), finite)
        device.add(torch.tensor(norm), torch.tensor(finite))
        assert host.last_was_skipped is device.last_was_skipped is not finite
    for record in (host, device):
        assert record.state_dict() == dict(windows=4, skipped=2)
        assert record.grad_norm == 2
        assert all(type(v) is int for v in record.state_dict().values())


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
    assert other.state_dict() == dict(windows=2, skipped=2)
    other.load_state_dict({})
    assert other.state_dict() == dict(windows=0, skipped=0)


def test_stuck_counts_skips_in_a_row_at_the_minimum():
    host, device = StepRecord(), StepRecord()
    windows = [(False, False), (False, True), (False, True), (True, True)]
    expected = [0, 1, 2, 0]
    for (finite, at_minimum), stuck in zip(windows, expected, strict=True):
        norm = torch.tensor(1.0 if finite else INF)
        host.add(norm, finite, at_minimum)
        device.add(norm, torch.tensor(finite), torch.tensor(at_minimum))
        assert host.stuck == device.stuck == stuck
