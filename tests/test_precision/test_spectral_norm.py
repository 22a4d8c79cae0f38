import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import (
    parametrizations,
    remove_spectral_norm,
    spectral_norm,
)
from torch.nn.utils.spectral_norm import SpectralNorm

from mmamp import AmpOptimWrapper
from mmamp.precision.islands import Island, islands
from mmamp.precision.spectral_norm import protect_spectral_norm


def low(enabled=True):
    return torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled)


def install(module, *args, **kwargs):
    Island(*args, **kwargs).install(module)
    return module


KINDS = dict(new=parametrizations.spectral_norm, old=spectral_norm)


class TestSpectralNorm:
    @pytest.mark.parametrize('kind', KINDS)
    @pytest.mark.parametrize('scale', [1e-6, 1.0, 1e4])
    def test_weight_as_in_float32(self, kind, scale):
        torch.manual_seed(0)
        conv = nn.Conv2d(8, 8, 3)
        with torch.no_grad():
            conv.weight.mul_(scale)
        net = nn.Sequential(KINDS[kind](conv))
        twin = copy.deepcopy(net)
        wrapper = AmpOptimWrapper(
            torch.optim.SGD(net.parameters(), lr=0.1), dtype='float16'
        )
        x = torch.randn(2, 8, 6, 6)
        for _ in range(3):
            with wrapper.optim_context(net):
                out = net(x)
            expected = twin(x)
        torch.testing.assert_close(out.float(), expected, rtol=1e-2, atol=2e-3)
        assert out.dtype is torch.float16
        for (name, a), b in zip(
            net.named_buffers(), twin.buffers(), strict=True
        ):
            assert torch.equal(a, b), name

    @pytest.mark.parametrize('kind', KINDS)
    def test_the_estimate_runs_outside_of_autocast(self, kind, monkeypatch):
        """On CUDA `mv` is cast by autocast; here it can only be watched."""
        seen = []
        original = torch.mv

        def watched(*args, **kwargs):
            seen.append(torch.is_autocast_enabled('cpu'))
            return original(*args, **kwargs)

        monkeypatch.setattr(torch, 'mv', watched)
        net = nn.Sequential(KINDS[kind](nn.Linear(4, 4)))
        x = torch.ones(1, 4)
        seen.clear()  # of what the registration did
        with low():
            net(x)
        assert seen
        assert all(seen)
        seen.clear()
        assert len(protect_spectral_norm(net)) == 1
        assert protect_spectral_norm(net) == []
        with low():
            assert net(x).dtype is torch.bfloat16
        assert seen
        assert not any(seen)

    @pytest.mark.parametrize('dtype', [None, torch.bfloat16])
    def test_beside_a_rule_for_the_layer(self, dtype, monkeypatch):
        """A clamp, or a precision: neither is for the norm."""
        torch.manual_seed(0)
        layer = spectral_norm(nn.Linear(4, 4))
        install(layer, dtype, clamp=0.01)
        assert protect_spectral_norm(nn.Sequential(layer)) == ['0']
        seen = []
        original = SpectralNorm.compute_weight

        def watched(*args, **kwargs):
            seen.append(torch.is_autocast_enabled('cpu'))
            return original(*args, **kwargs)

        monkeypatch.setattr(SpectralNorm, 'compute_weight', watched)
        with low():
            out = layer(torch.ones(1, 4))
        assert seen == [False]
        assert out.dtype is torch.bfloat16
        assert out.abs().max() <= 0.0101

    def test_it_says_so(self, mm_log):
        net = nn.Sequential(spectral_norm(nn.Linear(2, 2)))
        wrapper = AmpOptimWrapper(torch.optim.SGD(net.parameters(), lr=0.1))
        for _ in range(2):
            with wrapper.optim_context(net):
                net(torch.ones(1, 2))
        assert mm_log().count('spectral norm of 1 layer(s)') == 1

    def test_in_float32_nothing_is_changed(self):
        net = nn.Sequential(spectral_norm(nn.Linear(2, 2)))
        wrapper = AmpOptimWrapper(
            torch.optim.SGD(net.parameters(), lr=0.1), dtype='float32'
        )
        with wrapper.optim_context(net):
            net(torch.ones(1, 2))
        assert not islands(net[0])


def test_a_protected_norm_can_be_taken_off():
    layer = spectral_norm(nn.Linear(4, 4))
    protect_spectral_norm(layer)
    layer.eval()
    x = torch.ones(1, 4)
    expected = layer(x)
    remove_spectral_norm(layer)
    torch.testing.assert_close(layer(x), expected)
    assert not list(layer.named_buffers())


@pytest.mark.parametrize('kind', KINDS)
def test_compiled_before_it_was_protected(kind):
    """As MMEngine's `compile` and a user's own loop have it."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 4), KINDS[kind](nn.Linear(4, 2)))
    twin = copy.deepcopy(net)
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), lr=0.1), dtype='bfloat16'
    )
    compiled = torch.compile(net, backend='aot_eager', fullgraph=True)
    protect_spectral_norm(twin)
    x = torch.randn(3, 4)
    try:
        with wrapper.optim_context(net):
            loss = compiled(x).float().square().mean()
            expected = twin(x).float().square().mean()
        wrapper.update_params(loss)
    finally:
        torch._dynamo.reset()
    assert torch.equal(loss, expected)
