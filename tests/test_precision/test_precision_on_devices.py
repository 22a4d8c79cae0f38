"""Which dtype runs where, on the CPU and on a GPU."""

import copy

import pytest
import torch
import torch.nn.functional as F
from devices import each_device, exact_float32, on_two_gpus
from torch import distributed, nn
from torch.nn.utils import parametrizations, spectral_norm

from mmamp import AmpOptimWrapper
from mmamp.models.base.data_preprocessor import GANDataPreprocessor
from mmamp.precision.autocast import autocast
from mmamp.precision.placement import place, places_of
from mmamp.precision.rules import parse_rule

LOW = ['float16', 'bfloat16']
each_low = pytest.mark.parametrize('dtype', LOW)


def wrap(net, dtype, **kwargs):
    return AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), 0.01), dtype=dtype, **kwargs
    )


class Dtypes:
    """Notes what modules put out."""

    def __init__(self, net):
        self.found = {}
        for name, module in net.named_modules():
            module.register_forward_hook(
                lambda m, args, out, name=name: self.found.update(
                    {name: out.dtype}
                )
            )


@each_device
@each_low
def test_rules_make_islands(device, dtype):
    """By name, in float32; what is around them stays in the dtype."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(8, 8, 1),
        nn.Sequential(nn.Flatten(), nn.Linear(288, 4)),
        nn.Linear(4, 1),
    ).to(device)
    rules = [
        parse_rule(dict(pattern='1', dtype='float32', output_dtype='input')),
        parse_rule(dict(pattern='2.*', dtype='float32')),
        parse_rule(dict(pattern='3', dtype=None, clamp=1e-3)),
    ]
    place(rules, places_of(net))
    dtypes = Dtypes(net)
    wrapper = wrap(net, dtype, loss_scale=64.0)
    with wrapper.optim_context(net):
        out = net(torch.randn(2, 3, 8, 8, device=device))
        loss = out.float().square().sum()
    wrapper.update_params(loss)
    low = getattr(torch, dtype)
    assert dtypes.found['0'] is low
    assert dtypes.found['1'] is low
    assert dtypes.found['2.1'] is torch.float32
    assert dtypes.found['3'] is low
    assert out.abs().max() <= 1.1e-3
    for param in net.parameters():
        assert param.dtype is torch.float32


@each_device
@each_low
@pytest.mark.parametrize(
    'norm', [parametrizations.spectral_norm, spectral_norm]
)
def test_spectral_norm_is_estimated_in_float32(device, dtype, norm):
    torch.manual_seed(0)
    net = nn.Sequential(norm(nn.Conv2d(8, 8, 3))).to(device)
    twin = copy.deepcopy(net)
    wrapper = wrap(net, dtype)
    x = torch.randn(2, 8, 6, 6).to(device)
    with exact_float32():
        for _ in range(3):
            with wrapper.optim_context(net):
                out = net(x)
            expected = twin(x)
    assert out.dtype is getattr(torch, dtype)
    torch.testing.assert_close(out.float(), expected, rtol=2e-2, atol=2e-2)
    for (name, a), b in zip(net.named_buffers(), twin.buffers(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=name)


@each_device
@pytest.mark.parametrize('value', [0.0, 1e-7, 1e-4, 1.0, 6e4])
def test_normalize_is_as_safe_as_in_float32(device, value):
    x = torch.full((2, 8), value, device=device).half().requires_grad_()
    with autocast(device, torch.float16):
        out = F.normalize(x, dim=1)
    expected = F.normalize(x.detach().float(), dim=1)
    torch.testing.assert_close(out.float(), expected, rtol=1e-3, atol=1e-6)
    out.float().sum().backward()
    if value > 1e-6:
        assert torch.isfinite(x.grad).all()


@each_device
@each_low
def test_channels_last_stays(device, dtype):
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3)
    ).to(device, memory_format=torch.channels_last)
    wrapper = wrap(net, dtype, clip_grad=dict(max_norm=1.0))
    x = torch.randn(2, 3, 8, 8).to(device, memory_format=torch.channels_last)
    for _ in range(2):
        with wrapper.optim_context(net):
            out = net(x)
            loss = out.float().square().mean()
        wrapper.update_params(loss)
        assert out.is_contiguous(memory_format=torch.channels_last)
    for param in net.parameters():
        if param.dim() == 4:
            assert param.is_contiguous(memory_format=torch.channels_last)


@each_device
@each_low
def test_synchronised_batch_norm(device, dtype):
    """In one process; its statistics are float32, and of no bad window."""
    torch.manual_seed(0)
    net = nn.SyncBatchNorm.convert_sync_batchnorm(
        nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    ).to(device)
    wrapper = wrap(net, dtype, loss_scale=64.0)
    for factor in (1, float('inf'), 1):
        before = net[1].running_mean.clone()
        with wrapper.optim_context(net):
            x = torch.randn(2, 3, 8, 8, device=device) * factor
            loss = net(x).float().square().mean()
        wrapper.update_params(loss)
        is_bad = factor != 1
        assert wrapper.step_was_skipped == is_bad
        assert torch.equal(net[1].running_mean, before) == is_bad
    assert net[1].running_mean.dtype is torch.float32


@each_device
@pytest.mark.parametrize('layout', ['contiguous_format', 'channels_last'])
def test_pinned_images_arrive_as_they_are(device, layout):
    images = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8)
    labels = torch.arange(4)
    batch = dict(inputs=images, data_samples=dict(gt_label=labels))
    if device == 'cuda':
        batch = dict(
            inputs=images.pin_memory(),
            data_samples=dict(gt_label=labels.pin_memory()),
        )
    prepare = GANDataPreprocessor(memory_format=layout).to(device)
    found = prepare(batch, True)
    inputs = found['inputs']
    assert inputs.device.type == device
    assert inputs.is_contiguous(memory_format=getattr(torch, layout))
    torch.testing.assert_close(inputs.cpu(), (images - 127.5) / 127.5)
    assert found['data_samples']['gt_label'].tolist() == [0, 1, 2, 3]


def sync_batch_norm(rank, world_size, dtype):
    """On a device of each rank's own, by NCCL."""
    torch.cuda.set_device(rank)
    group = distributed.new_group(backend='nccl')
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    net = nn.SyncBatchNorm.convert_sync_batchnorm(net, group).cuda()
    net = nn.parallel.DistributedDataParallel(
        net, device_ids=[rank], process_group=group
    )
    wrapper = wrap(net, dtype, loss_scale=64.0)
    torch.manual_seed(rank + 1)
    skipped = []
    for factor in (1, float('inf'), 1):
        # Infinite on one rank: both skip.
        x = torch.randn(2, 3, 8, 8, device='cuda')
        x = x * (factor if rank == 0 else 1)
        with wrapper.optim_context(net):
            loss = net(x).float().square().mean()
        wrapper.update_params(loss)
        skipped.append(wrapper.step_was_skipped)
    return skipped, {k: v.cpu() for k, v in net.state_dict().items()}


@pytest.mark.parametrize('dtype', ['float32', *LOW])
class TestTwoDevices:
    pytestmark = on_two_gpus

    def test_synchronised_batch_norm(self, in_ranks, dtype):
        (first, mine), (second, theirs) = in_ranks(2, sync_batch_norm, dtype)
        assert first == second == [False, True, False]
        for name, value in mine.items():
            assert torch.equal(value, theirs[name]), name
