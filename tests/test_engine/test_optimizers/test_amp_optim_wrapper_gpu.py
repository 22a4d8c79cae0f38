"""What only an accelerator can show."""

import pytest
import torch
from torch import nn

from mmamp import AmpOptimWrapper

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA'),
]


def make_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(8 * 36, 1),
    ).cuda()


def train(net, wrapper, data):
    for x in data:
        with wrapper.optim_context(net):
            loss = net(x).float().pow(2).mean()
        wrapper.update_params(loss)


def batches(num):
    torch.manual_seed(1)
    return [torch.randn(4, 3, 8, 8, device='cuda') for _ in range(num)]


def test_defaults():
    wrapper = AmpOptimWrapper(torch.optim.Adam(make_net().parameters()))
    assert wrapper.device_type == 'cuda'
    assert wrapper.cast_dtype is torch.float16
    assert wrapper.loss_scaler.is_enabled()


@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float32'])
def test_a_fused_step_never_waits_for_the_device(dtype):
    net = make_net()
    wrapper = AmpOptimWrapper(
        torch.optim.Adam(net.parameters(), fused=True), dtype=dtype
    )
    data = batches(6)
    train(net, wrapper, data[:2])  # lazy initialisation may wait
    torch.cuda.set_sync_debug_mode('error')
    try:
        train(net, wrapper, data[2:])
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert wrapper.record.windows == 6


@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('dtype', ['float16', 'bfloat16', 'float32'])
def test_a_skipped_window_leaves_no_trace(fused, dtype):
    net = make_net()
    wrapper = AmpOptimWrapper(
        torch.optim.Adam(net.parameters(), fused=fused),
        dict(init_scale=64.0),
        dtype,
    )
    data = batches(3)
    train(net, wrapper, data[:1])
    before = {k: v.clone() for k, v in net.state_dict().items()}
    train(net, wrapper, [data[1] * float('inf')])
    assert wrapper.step_was_skipped
    for key, value in net.state_dict().items():
        assert torch.equal(value, before[key]), key
    train(net, wrapper, data[2:])
    assert not wrapper.step_was_skipped


@pytest.mark.parametrize('dtype', [None, 'float16', 'bfloat16'])
def test_a_model_that_moves_after_its_optimizer_was_built(dtype):
    """What it computes in, and scales, is what the new device asks for."""
    net = make_net().cpu()
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), lr=1e-3), dtype=dtype
    )
    net.cuda()
    train(net, wrapper, batches(3))
    built = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), lr=1e-3), dtype=dtype
    )
    assert wrapper.device_type == 'cuda'
    assert wrapper.cast_dtype is built.cast_dtype
    assert wrapper.loss_scaler.is_enabled() == built.loss_scaler.is_enabled()
    with wrapper.optim_context(net):
        assert net[0](batches(1)[0]).dtype is wrapper.cast_dtype


@pytest.mark.parametrize('max_norm', [1.0, 1e30])
def test_finite_gradients_whose_norm_overflows(max_norm):
    param = nn.Parameter(torch.zeros(4, device='cuda'))
    wrapper = AmpOptimWrapper(
        torch.optim.SGD([param], lr=1e-20, fused=True),
        dtype='float32',
        clip_grad=dict(max_norm=max_norm),
    )
    wrapper.update_params((param * 3e19).sum())
    assert not wrapper.step_was_skipped
    size = min(max_norm / 2, 3e19)
    assert float(param[0].detach()) == pytest.approx(-1e-20 * size, rel=1e-3)
