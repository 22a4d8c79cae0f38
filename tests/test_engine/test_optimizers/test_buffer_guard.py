import copy

import torch
from torch import nn

from mmamp.engine.optimizers.buffer_guard import BufferGuard


def make_net():
    net = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3), nn.BatchNorm1d(3))
    net.register_buffer('scratch', torch.zeros(2), persistent=False)
    net.register_buffer('absent', None)
    return net


def changed(net):
    for buffer in net.buffers():
        buffer.add_(1)


def test_puts_persistent_buffers_back():
    net = make_net()
    guard = BufferGuard()
    guard.watch(net)
    guard.save()
    before = copy.deepcopy(net.state_dict())
    net(torch.randn(4, 3) * float('nan'))
    changed(net)
    guard.restore()
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert net.scratch.tolist() == [1, 1]


def test_the_device_decides():
    for skipped in (True, False):
        net = make_net()
        guard = BufferGuard()
        guard.watch(net)
        guard.save()
        net[0].running_mean.fill_(float('nan'))
        guard.restore(torch.tensor(skipped))
        assert net[0].running_mean.isnan().all() != skipped


def test_buffers_that_were_replaced_are_found():
    net = make_net()
    guard = BufferGuard()
    guard.watch(net)
    guard.save()
    net[0].running_mean = torch.full((3,), 7.0)
    guard.restore()
    assert net[0].running_mean.tolist() == [0, 0, 0]


def test_shared_modules_count_once():
    shared = make_net()
    guard = BufferGuard()
    guard.watch(shared)
    guard.watch(nn.ModuleList([shared, shared]))
    slots = len(guard._slots)
    guard.watch(shared)
    assert len(guard._slots) == slots == 7  # 2 x 3, and `absent`


def test_without_a_copy_buffers_stay():
    """One that was watched within a window is in no copy yet."""
    net, late = make_net(), nn.BatchNorm1d(2, dtype=torch.float64)
    guard = BufferGuard()
    guard.watch(net)
    guard.restore()
    guard.save()
    guard.watch(late)
    late.running_mean.fill_(7)
    guard.restore()
    assert late.running_mean.tolist() == [7, 7]


def test_nothing_is_copied_without_buffers():
    guard = BufferGuard()
    guard.watch(nn.Linear(2, 2))
    guard.save()
    assert guard.state() == []


def test_parameters_are_not_touched():
    net = make_net()
    guard = BufferGuard()
    guard.watch(net)
    guard.save()
    with torch.no_grad():
        net[1].weight.fill_(3)
    guard.restore()
    assert (net[1].weight == 3).all()


def test_modules_that_look_after_themselves():
    """One that grows inside of a window does not keep others from it."""

    class Pool(torch.nn.Module):
        keeps_itself_finite = True

        def __init__(self):
            super().__init__()
            self.register_buffer('images', torch.zeros(0))

    model = torch.nn.ModuleList([torch.nn.BatchNorm1d(2), Pool()])
    guard = BufferGuard()
    guard.watch(model)
    guard.save()
    model[0](torch.full((4, 2), float('inf')))
    model[1].images = torch.ones(3)
    guard.restore()
    assert torch.equal(model[0].running_mean, torch.zeros(2))
    assert torch.equal(model[1].images, torch.ones(3))
