"""What a wrapper promises, on the CPU and on a GPU."""

import copy

import pytest
import torch
from devices import (
    each_device,
    each_dtype,
    exact_float32,
    on_gpu,
    on_two_gpus,
    waits,
)
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from mmamp import AmpOptimWrapper

ADAM = torch.optim.Adam
OPTIMIZERS = {
    'fused Adam': lambda p: ADAM(p, fused=True),
    'foreach Adam': lambda p: ADAM(p, fused=False, foreach=True),
    'Adam, one by one': lambda p: ADAM(p, fused=False, foreach=False),
    'fused AdamW': lambda p: torch.optim.AdamW(p, fused=True),
    'fused SGD': lambda p: torch.optim.SGD(p, 0.01, momentum=0.9, fused=True),
    'foreach SGD': lambda p: torch.optim.SGD(
        p, 0.01, momentum=0.9, foreach=True
    ),
    'RMSprop': lambda p: torch.optim.RMSprop(p, 1e-3),
    'in Python': lambda p: SignSGD(p, 1e-3),
}
each_optimizer = pytest.mark.parametrize('optimizer', OPTIMIZERS)


class SignSGD(torch.optim.Optimizer):
    """As packages have them: in Python, with a momentum of its own."""

    def __init__(self, params, lr):
        super().__init__(params, dict(lr=lr))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for param in group['params']:
                if param.grad is not None:
                    state = self.state[param]
                    mean = state.setdefault('mean', torch.zeros_like(param))
                    mean.lerp_(param.grad, 0.1)
                    param.sub_(mean.sign(), alpha=group['lr'])


class Watched(torch.autograd.Function):
    """Notes whether autocast is on where its gradient is made."""

    seen = []

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        Watched.seen.append(torch.is_autocast_enabled(grad.device.type))
        return grad


def make_net(device):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        spectral_norm(nn.Linear(8 * 36, 4)),
    ).to(device)


def batches(device, num, size=4):
    torch.manual_seed(1)
    return [torch.randn(size, 3, 8, 8).to(device) for _ in range(num)]


def wrap(net, optimizer='foreach Adam', **kwargs):
    return AmpOptimWrapper(OPTIMIZERS[optimizer](net.parameters()), **kwargs)


def train(net, wrapper, data):
    for x in data:
        with wrapper.optim_context(net):
            loss = net(x).float().square().mean()
        wrapper.update_params(loss)


def state_of(net):
    return {k: v.clone() for k, v in net.state_dict().items()}


def assert_same(net, state):
    for key, value in net.state_dict().items():
        assert torch.equal(value, state[key]), key


@each_device
@pytest.mark.parametrize('inside', [False, True])
def test_autocast_is_of_forward_and_loss_alone(device, inside):
    net = nn.Linear(4, 4).to(device)
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), 0.1), dtype='bfloat16'
    )
    Watched.seen.clear()
    in_step = []
    wrapper.optimizer.register_step_pre_hook(
        lambda *_: in_step.append(torch.is_autocast_enabled(device))
    )
    with wrapper.optim_context(net):
        out = net(torch.randn(2, 4, device=device))
        assert out.dtype is torch.bfloat16
        loss = Watched.apply(out).float().square().mean()
        if inside:
            wrapper.update_params(loss)
    if not inside:
        wrapper.update_params(loss)
    assert Watched.seen == [False]
    assert in_step == [False]


@each_device
def test_no_grad_does_not_poison_the_cache(device):
    net = nn.Linear(4, 1).to(device)
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), 0.1), dtype='bfloat16'
    )
    x = torch.randn(2, 4, device=device)
    with wrapper.optim_context(net):
        with torch.no_grad():
            net(x)
        loss = net(x).float().sum()
    wrapper.backward(loss)
    assert net.weight.grad.norm() > 0


@each_device
def test_dtypes_and_scalers(device):
    def of(dtype):
        net = nn.Linear(1, 1).to(device)
        wrapper = AmpOptimWrapper(
            torch.optim.SGD(net.parameters(), 0.1), dtype=dtype
        )
        return wrapper.cast_dtype, wrapper.loss_scaler.is_enabled()

    default = dict(cpu=torch.bfloat16, cuda=torch.float16)[device]
    assert of(None) == (default, default is torch.float16)
    for name in ('float32', 'bfloat16', 'float16'):
        assert of(name) == (getattr(torch, name), name == 'float16')
    auto, is_scaled = of('auto')
    assert is_scaled == (auto is torch.float16)


@each_device
@pytest.mark.parametrize('optimizer', ['fused Adam', 'foreach Adam'])
def test_a_dynamic_scale_falls_and_grows(device, optimizer):
    net = make_net(device)
    wrapper = wrap(
        net,
        optimizer,
        dtype='float16',
        loss_scale=dict(
            init_scale=64.0, growth_interval=2, min_scale=16.0, max_scale=64.0
        ),
    )
    data = batches(device, 6)
    scales = []
    for factor in (1, float('inf'), float('inf'), float('inf'), 1, 1):
        train(net, wrapper, [data.pop() * factor])
        scales.append(wrapper.loss_scaler.get_scale())
    assert scales == [64, 32, 16, 16, 16, 32]
    assert wrapper.skipped_steps == 3
    # The one at the minimum; finite windows take a little off it.
    assert wrapper.stuck_steps in (0, 1)


@each_device
@each_optimizer
@each_dtype
def test_a_skipped_window_leaves_no_trace(device, optimizer, dtype):
    """Nor in statistics, vectors of spectral norm or the moments."""
    net = make_net(device)
    wrapper = wrap(
        net, optimizer, dtype=dtype, loss_scale=dict(init_scale=64.0)
    )
    data = batches(device, 3)
    train(net, wrapper, data[:1])
    before = state_of(net)
    moments = {
        param: {key: value.clone() for key, value in state.items()}
        for param, state in wrapper.optimizer.state.items()
    }
    train(net, wrapper, [data[1] * float('inf')])
    assert wrapper.step_was_skipped
    assert_same(net, before)
    for param, state in wrapper.optimizer.state.items():
        for key, value in state.items():
            assert torch.equal(value, moments[param][key]), key
    train(net, wrapper, data[2:])
    assert not wrapper.step_was_skipped
    assert wrapper.skipped_steps == 1


@each_device
@each_dtype
def test_one_bad_micro_batch_skips_its_window(device, dtype):
    net = make_net(device)
    wrapper = wrap(
        net,
        dtype=dtype,
        loss_scale=dict(init_scale=64.0),
        accumulative_counts=3,
    )
    data = batches(device, 6)
    data[1] = data[1] * float('inf')
    before = state_of(net)
    train(net, wrapper, data[:3])
    assert wrapper.step_was_skipped
    assert_same(net, before)
    train(net, wrapper, data[3:])
    assert not wrapper.step_was_skipped


@each_device
def test_windows_weigh_by_their_length(device):
    """Two halves, and a last window of one, are what whole batches are."""
    with exact_float32():
        nets = []
        for counts in (1, 2):
            torch.manual_seed(0)
            net = nn.Linear(6, 1).to(device)
            wrapper = AmpOptimWrapper(
                torch.optim.SGD(net.parameters(), 0.1),
                dtype='float32',
                accumulative_counts=counts,
            )
            whole = torch.randn(2, 8, 6).to(device)
            parts = [whole[0], whole[1]]
            if counts == 2:
                parts = [*whole[0].chunk(2), whole[1]]
            wrapper.initialize_count_status(net, 0, len(parts))
            train(net, wrapper, parts)
            assert wrapper.record.windows == 2
            nets.append(net)
    torch.testing.assert_close(nets[0].weight, nets[1].weight)


@each_device
def test_kernels_agree(device):
    """Fused, many at a time and one by one, Adam comes to the same."""
    ends = []
    for name in ('fused Adam', 'foreach Adam', 'Adam, one by one'):
        torch.manual_seed(0)
        net = nn.Linear(6, 3).to(device)
        wrapper = wrap(
            net,
            name,
            dtype='float16',
            loss_scale=128.0,
            clip_grad=dict(max_norm=0.1),
        )
        torch.manual_seed(1)
        train(net, wrapper, [torch.randn(4, 6).to(device) for _ in range(8)])
        ends.append(net.weight.detach())
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0], rtol=1e-4, atol=1e-6)


@each_device
@each_dtype
@pytest.mark.parametrize(
    'clip',
    [
        dict(max_norm=0.01),
        dict(max_norm=0.01, norm_type='inf'),
        dict(type='value', clip_value=1e-4),
    ],
)
def test_clips_true_gradients(device, dtype, clip):
    net = make_net(device)
    wrapper = wrap(net, 'foreach SGD', dtype=dtype, clip_grad=clip)
    before = [p.detach().clone() for p in net.parameters()]
    train(net, wrapper, batches(device, 1))
    assert not wrapper.step_was_skipped
    moved = torch.cat(
        [
            (a - b.detach()).flatten() / 0.01
            for a, b in zip(before, net.parameters(), strict=True)
        ]
    )
    if 'clip_value' in clip or 'norm_type' in clip:
        size = moved.abs().max()
    else:
        size = moved.norm()
    limit = clip.get('clip_value') or clip['max_norm']
    assert float(size) == pytest.approx(limit, rel=2e-2)


@each_device
@each_optimizer
@each_dtype
def test_goes_on_from_its_state_inside_of_a_window(device, optimizer, dtype):
    """Bit for bit, with the state on the CPU in between."""

    def parts():
        net = nn.Linear(6, 3).to(device)
        return net, wrap(
            net,
            optimizer,
            dtype=dtype,
            loss_scale=dict(init_scale=64.0, growth_interval=2),
            accumulative_counts=2,
        )

    torch.manual_seed(0)
    net, wrapper = parts()
    torch.manual_seed(1)
    data = [torch.randn(4, 6).to(device) for _ in range(9)]
    train(net, wrapper, data[:5])
    weights = copy.deepcopy(net.state_dict())
    saved = copy.deepcopy(wrapper.state_dict())
    train(net, wrapper, data[5:])

    again, its = parts()
    again.load_state_dict(weights)
    its.load_state_dict(_on_cpu(saved))
    its.initialize_count_status(again, 5, -1)
    train(again, its, data[5:])
    assert_same(again, net.state_dict())
    for param in again.parameters():
        for key, value in its.optimizer.state[param].items():
            if isinstance(value, torch.Tensor) and value.dim():
                assert value.device == param.device, key


def _on_cpu(value):
    if isinstance(value, torch.Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return {k: _on_cpu(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_on_cpu, value))
    return value


@each_device
@each_dtype
@pytest.mark.parametrize('before', ['float32', 'float16', 'bfloat16'])
def test_any_precision_goes_on_from_any_other(device, before, dtype):
    net = make_net(device)
    first = wrap(net, dtype=before)
    train(net, first, batches(device, 2))
    then = wrap(net, dtype=dtype)
    then.load_state_dict(first.state_dict())
    if before == dtype == 'float16':
        assert then.loss_scaler.get_scale() == first.loss_scaler.get_scale()
    train(net, then, batches(device, 2))
    assert then.record.windows == 4


@pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
class TestSecondDevice:
    """Nothing is on the first one by mistake."""

    pytestmark = on_two_gpus

    @pytest.mark.parametrize('optimizer', ['fused Adam', 'foreach Adam'])
    def test_trains_there(self, dtype, optimizer):
        net = make_net('cuda:1')
        wrapper = wrap(
            net,
            optimizer,
            dtype=dtype,
            accumulative_counts=2,
            clip_grad=dict(max_norm=1.0),
        )
        train(net, wrapper, batches('cuda:1', 4))
        assert wrapper.record.windows == 2
        assert not wrapper.step_was_skipped

    def test_a_network_of_both(self, dtype):
        """Parts on two devices, one optimizer: a skip is of both."""

        class Split(nn.Module):
            def __init__(self):
                super().__init__()
                self.first = nn.Linear(4, 4).to('cuda:0')
                self.second = nn.Linear(4, 1).to('cuda:1')

            def forward(self, x):
                return self.second(self.first(x).to('cuda:1'))

        torch.manual_seed(0)
        net = Split()
        wrapper = wrap(
            net, dtype=dtype, loss_scale=64.0, clip_grad=dict(max_norm=1.0)
        )
        x = torch.randn(2, 4, device='cuda:0')
        train(net, wrapper, [x])
        assert not wrapper.step_was_skipped
        before = state_of(net)
        train(net, wrapper, [x * float('inf')])
        assert wrapper.step_was_skipped
        assert_same(net, before)


WAITING = {name: 0 if name.startswith('fused') else 1 for name in OPTIMIZERS}
"""How often a step waits at most: to learn whether gradients are finite."""


@each_device
@each_optimizer
@each_dtype
@pytest.mark.parametrize('clip', [None, dict(max_norm=1.0)])
def test_a_step_waits_once_at_most(device, optimizer, dtype, clip):
    net = make_net(device)
    wrapper = wrap(net, optimizer, dtype=dtype, clip_grad=clip)
    data = batches(device, 6)
    train(net, wrapper, data[:2])  # lazy initialisation may wait
    with waits() as found:
        train(net, wrapper, data[2:])
    assert len(found) <= 4 * WAITING[optimizer], found
    assert wrapper.record.windows == 6


@pytest.mark.parametrize('num', [1, 3])
class TestWaits:
    """That the helper sees them, or the tests above would say nothing."""

    pytestmark = on_gpu

    def test_are_seen(self, num):
        x = torch.ones(1, device='cuda')
        with waits() as found:
            for _ in range(num):
                x.item()
        assert len(found) == num
