import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm

from mmamp import AmpOptimWrapper
from mmamp.precision.autocast import autocast
from mmamp.precision.islands import Island, islands
from mmamp.precision.spectral_norm import protect_spectral_norm


class Spy(nn.Module):
    """Says what it was run in."""

    def __init__(self, inner=None):
        super().__init__()
        self.inner = inner
        self.seen = []

    def forward(self, x, other=None, fail=False):
        self.seen.append((x.dtype, torch.is_autocast_enabled('cpu')))
        if fail:
            raise RuntimeError('on purpose')
        return x if self.inner is None else self.inner(x)


def low(enabled=True):
    return torch.autocast('cpu', dtype=torch.bfloat16, enabled=enabled)


def install(module, *args, **kwargs):
    Island(*args, **kwargs).install(module)
    return module


class TestIsland:
    def test_inputs_and_autocast(self):
        spy = install(Spy(), torch.float32)
        with low():
            out = spy(torch.ones(2, dtype=torch.bfloat16))
            assert torch.is_autocast_enabled('cpu')
        assert spy.seen == [(torch.float32, False)]
        assert out.dtype is torch.float32

    def test_low_precision_in_float32_surroundings(self):
        layer = install(nn.Linear(2, 2), torch.bfloat16)
        out = layer(torch.ones(2))
        assert out.dtype is torch.bfloat16
        assert not torch.is_autocast_enabled('cpu')

    @pytest.mark.parametrize(
        'given',
        [
            torch.zeros(1, dtype=torch.long, device='meta'),
            [torch.ones(1, device='meta')],
            dict(a=(torch.ones(1, device='meta'),)),
        ],
    )
    def test_the_device_of_any_input_decides(self, given, monkeypatch):
        """Lists of feature maps, indices of an embedding."""
        seen = []
        original = torch.is_autocast_enabled

        def watched(device):
            seen.append(device)
            return original('cpu')

        monkeypatch.setattr(torch, 'is_autocast_enabled', watched)
        module = install(nn.Identity(), torch.float32)
        module(given)
        assert set(seen) == {'meta'}

    def test_keywords_nests_and_other_types(self):
        class Net(nn.Module):
            def forward(self, x, *, pair, index, double):
                return x.dtype, pair['a'][0].dtype, index.dtype, double.dtype

        net = install(Net(), torch.float32)
        half = torch.ones(1, dtype=torch.float16)
        found = net(
            half,
            pair=dict(a=(half,)),
            index=torch.ones(1, dtype=torch.long),
            double=torch.ones(1, dtype=torch.float64),
        )
        assert found == (
            torch.float32,
            torch.float32,
            torch.long,
            torch.float64,
        )

    @pytest.mark.parametrize(
        ('output', 'expected'),
        [
            (None, torch.float32),
            ('input', torch.bfloat16),
            (torch.float16, torch.float16),
        ],
    )
    def test_output_dtype(self, output, expected):
        spy = install(Spy(), torch.float32, output)
        assert spy(torch.ones(1, dtype=torch.bfloat16)).dtype is expected

    def test_clamp_of_nested_outputs(self):
        class Net(nn.Module):
            def forward(self, x):
                return dict(a=x, b=[x * -2], c=torch.tensor(9))

        net = install(Net(), None, clamp=3.0)
        out = net(torch.tensor([1.0, 5.0]))
        assert out['a'].tolist() == [1, 3]
        assert out['b'][0].tolist() == [-2, -3]
        assert out['c'] == 9

    def test_after_an_exception_all_is_as_before(self):
        spy = install(Spy(), torch.float32)
        with low():
            with pytest.raises(RuntimeError, match='on purpose'):
                spy(torch.ones(1), fail=True)
            assert torch.is_autocast_enabled('cpu')
            spy(torch.ones(1))
        assert spy.seen[1] == (torch.float32, False)

    def test_called_inside_of_itself(self):
        class Twice(nn.Module):
            def forward(self, x, depth=1):
                if depth:
                    with low():
                        return self(x, 0)
                return torch.is_autocast_enabled('cpu')

        net = install(Twice(), torch.float32)
        with low():
            assert net(torch.ones(1)) is False
            assert torch.is_autocast_enabled('cpu')

    def test_a_deep_copy_has_an_island_of_its_own(self):
        spy = install(Spy(), torch.float32)
        twin = copy.deepcopy(spy)
        with low():
            twin(torch.ones(1, dtype=torch.bfloat16))
        assert twin.seen == [(torch.float32, False)]
        assert spy.seen == []
        (first,), (second,) = (
            [h.__self__ for h in m._forward_hooks.values()]
            for m in (spy, twin)
        )
        assert first is not second
        assert spy.state_dict() == {}

    def test_gradients_are_those_of_a_hand_written_island(self):
        torch.manual_seed(0)
        net = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 3)
        )
        twin = copy.deepcopy(net)
        install(net[1], torch.float32)
        x = torch.randn(2, 1, 8, 8)
        with low():
            out = net(x)
            hidden = twin[0](x)
            with low(enabled=False):
                hidden = twin[1](hidden.float())
            expected = twin[2](hidden)
        out.float().sum().backward()
        expected.float().sum().backward()
        for p, q in zip(net.parameters(), twin.parameters(), strict=True):
            assert torch.equal(p.grad, q.grad)


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
    def test_beside_a_rule_for_the_layer(self, dtype):
        """A clamp, or a precision: neither is for the norm."""
        torch.manual_seed(0)
        layer = spectral_norm(nn.Linear(4, 4))
        install(layer, dtype, clamp=0.01)
        seen = []
        assert protect_spectral_norm(nn.Sequential(layer)) == ['0']
        (hook,) = [
            h
            for h in layer._forward_pre_hooks.values()
            if hasattr(h, 'compute_weight')
        ]
        original = hook.compute_weight

        def watched(*args, **kwargs):
            seen.append(torch.is_autocast_enabled('cpu'))
            return original(*args, **kwargs)

        hook.compute_weight = watched
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
