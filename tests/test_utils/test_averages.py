import copy

import pytest
import torch
from mmengine.model import (
    ExponentialMovingAverage,
    MomentumAnnealingEMA,
    StochasticWeightAverage,
)
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmamp.utils.averages import advance

# Before the average has begun, and afterwards.
SKIPPED = [True, True, False, False, True, False, False, True, False, False]


class Reads(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.number = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.number += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def make_net():
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(2, 3, 1).to(memory_format=torch.channels_last),
        nn.BatchNorm2d(3),
        nn.Linear(2, 2).double(),
    )
    net.register_parameter(
        'whole', nn.Parameter(torch.zeros(2).int(), requires_grad=False)
    )
    return net


def change(net, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for tensor in [*net.parameters(), *net.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(torch.randn_like(tensor))
            else:
                tensor.add_(1)


def averaged(average, on_device, start):
    net = make_net()
    average = average(copy.deepcopy(net))
    for i, skipped in enumerate(SKIPPED):
        if not skipped:
            change(net, i)
        flag = torch.tensor(skipped) if on_device else skipped
        advance(average, net, flag, copies=i < start)
    return average.state_dict()


@pytest.mark.parametrize('start', [0, 4])
@pytest.mark.parametrize('interval', [1, 2])
@pytest.mark.parametrize('update_buffers', [False, True])
@pytest.mark.parametrize(
    'cls',
    [ExponentialMovingAverage, MomentumAnnealingEMA, StochasticWeightAverage],
)
def test_comes_to_the_same_whoever_decides(
    cls, update_buffers, interval, start
):
    def make(net):
        return cls(net, interval=interval, update_buffers=update_buffers)

    host, device = (averaged(make, x, start) for x in (False, True))
    assert host.keys() == device.keys()
    for name, value in host.items():
        assert torch.equal(value, device[name]), name


def test_waits_for_nothing():
    net = make_net()
    average = ExponentialMovingAverage(net, interval=2)
    with Reads() as reads:
        for skipped in SKIPPED:
            advance(average, net, torch.tensor(skipped))
    assert reads.number == 0
