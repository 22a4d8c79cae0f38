"""Models that torch has turned into something else."""

import copy

import pytest
import torch
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.engine.optimizers.buffer_guard import BufferGuard


class Judged(nn.Module):
    """Learns from a scripted network, which is trained or not."""

    def __init__(self, trains):
        super().__init__()
        self.layer = nn.Linear(3, 3)
        self.judge = torch.jit.script(
            nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)).train(trains)
        )
        for param in self.judge.parameters():
            param.requires_grad_(trains)

    def forward(self, x):
        return self.judge(self.layer(x).float()).float().square().mean()


# One low precision: TorchScript runs the backward pass of later ones, in the
# same process, in the first that it met.
@pytest.mark.parametrize('dtype', ['float32', 'float16'])
@pytest.mark.parametrize('trains', [False, True])
def test_a_scripted_network_in_a_model(dtype, trains):
    torch.manual_seed(0)
    model = Judged(trains)
    params = [p for p in model.parameters() if p.requires_grad]
    wrapper = AmpOptimWrapper(torch.optim.SGD(params, lr=0.1), dtype=dtype)
    for poison in (1.0, float('inf')):
        before = copy.deepcopy(dict(model.named_buffers()))
        weights = [p.detach().clone() for p in model.parameters()]
        with wrapper.optim_context(model):
            loss = model(torch.randn(4, 3))
        wrapper.update_params(loss * poison)
        has_moved = [
            not torch.equal(a, b)
            for a, b in zip(model.parameters(), weights, strict=True)
        ]
        # What a skipped window changed is put back, scripted or not.
        assert any(has_moved) == (poison == 1)
        for name, buffer in model.named_buffers():
            moved = not torch.equal(buffer, before[name])
            assert moved == (trains and poison == 1), name
    assert wrapper.skipped_steps == 1


def test_the_guard_sees_buffers_that_are_there_now():
    net = torch.jit.script(nn.BatchNorm1d(3))
    guard = BufferGuard()
    guard.watch(net)
    net.double()
    with guard.forward():
        net(torch.randn(4, 3).double())
    guard.restore()
    assert net.running_mean.tolist() == [0, 0, 0]
    assert net.running_mean.dtype is torch.float64


@pytest.mark.parametrize(
    ('dtype', 'scale'),
    [
        ('bfloat16', 'dynamic'),
        ('float16', 'dynamic'),
        ('float16', dict(hysteresis=2)),
    ],
)
def test_a_compiled_train_step(dtype, scale):
    """What the key ``compile`` of MMEngine's configs compiles."""

    def train(compile_):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1))
        wrapper = AmpOptimWrapper(
            torch.optim.SGD(net.parameters(), lr=0.1),
            loss_scale=scale,
            dtype=dtype,
            accumulative_counts=2,
        )

        def train_step(x):
            with wrapper.optim_context(net):
                loss = net(x).float().square().mean()
            wrapper.update_params(loss)
            return loss

        if compile_:
            train_step = torch.compile(train_step, backend='eager')
        for i in range(4):
            train_step(torch.full((2, 4), float(i)))
        assert wrapper.skipped_steps == 0
        return list(net.parameters())

    try:
        for a, b in zip(train(True), train(False), strict=True):
            assert torch.equal(a, b)
    finally:
        torch._dynamo.reset()
