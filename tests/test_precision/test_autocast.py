import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmamp.precision.autocast import autocast, autocast_off, in_backward

LOW = [torch.bfloat16, torch.float16]


class TestContext:
    def test_float32_switches_an_outer_one_off(self):
        with (
            torch.autocast('cpu', dtype=torch.bfloat16),
            autocast('cpu', torch.float32),
        ):
            assert not torch.is_autocast_enabled('cpu')

    def test_off(self):
        with autocast('cpu', torch.bfloat16):
            assert torch.is_autocast_enabled('cpu')
            with autocast_off('cpu'):
                assert not torch.is_autocast_enabled('cpu')

    @pytest.mark.parametrize('dtype', LOW)
    def test_no_grad_does_not_poison(self, dtype):
        net = nn.Linear(2, 2)
        with autocast('cpu', dtype):
            with torch.no_grad():
                net(torch.ones(1, 2))
            assert net(torch.ones(1, 2)).requires_grad

    def test_an_island_in_float32_stays_one(self):
        big = torch.randn(64, 256)
        weight = torch.randn(256, 256)
        with autocast('cpu', torch.bfloat16), autocast_off('cpu'):
            assert torch.equal(F.linear(big, weight), big @ weight.t())


class TestNormalize:
    @pytest.mark.parametrize('value', [0.0, 1e-7, 1e-4, 1.0, 6e4])
    def test_float16_is_as_safe_as_float32(self, value):
        x = torch.full((2, 8), value).half().requires_grad_()
        reference = x.detach().float().requires_grad_()
        with autocast('cpu', torch.float16):
            out = F.normalize(x, dim=1)
        expected = F.normalize(reference, dim=1)
        assert out.dtype is torch.float16
        torch.testing.assert_close(out.float(), expected, rtol=1e-3, atol=1e-6)
        out.float().sum().backward()
        assert torch.isfinite(out).all()
        if value > 1e-6:
            assert torch.isfinite(x.grad).all()

    @pytest.mark.parametrize('scale', [1.0, 32768.0])
    def test_a_zero_vector_has_no_gradient(self, scale):
        x = torch.zeros(2, 8).half().requires_grad_()
        with autocast('cpu', torch.float16):
            out = F.normalize(input=x)
        (out.float().sum() * scale).backward()
        assert not x.grad.any()

    def test_a_large_eps_is_heeded(self):
        x = torch.zeros(2, 8).half().requires_grad_()
        with autocast('cpu', torch.float16):
            F.normalize(x, eps=0.5).float().sum().backward()
        assert torch.equal(x.grad, torch.full_like(x, 2))

    @pytest.mark.parametrize('reentrant', [False, True])
    def test_run_again_in_the_backward_pass(self, reentrant):
        layer = nn.Linear(4, 4, bias=False)

        def forward(x):
            return F.normalize(layer(x))

        x = torch.zeros(2, 4, requires_grad=True)
        with autocast('cpu', torch.float16):
            out = checkpoint(forward, x, use_reentrant=reentrant)
            loss = out.float().square().sum()
        with in_backward('cpu', torch.float16):
            loss.backward()
        assert torch.isfinite(layer.weight.grad).all()

    def test_it_is_torchs_own_again(self):
        before = F.normalize
        with autocast('cpu', torch.float16):
            assert F.normalize is not before
            x = torch.randn(2, 4)
            assert torch.equal(F.normalize(x), before(x))
        assert F.normalize is before
