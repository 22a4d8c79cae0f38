import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm as torch_norm

from mmamp.models.layers.spectral_norm import spectral_norm

LAYERS = {
    'linear': lambda: nn.Linear(6, 4),
    'conv': lambda: nn.Conv2d(3, 5, 3),
    'embedding': lambda: nn.Embedding(7, 4),
}
LOW = (torch.float16, torch.bfloat16)


def make(kind, norm=spectral_norm, **kwargs):
    torch.manual_seed(0)
    layer = LAYERS[kind]()
    torch.manual_seed(1)  # the first singular vectors are random
    return norm(layer, **kwargs)


def singular_values(weight):
    return torch.linalg.svdvals(weight.detach().flatten(1).double())


def original(layer):
    return layer.parametrizations.weight.original


@pytest.mark.parametrize('kind', LAYERS)
class TestFloat32:
    def test_agrees_with_torchs_own(self, kind):
        ours, theirs = make(kind), make(kind, torch_norm, eps=1e-6)
        for _ in range(5):
            torch.testing.assert_close(ours.weight, theirs.weight)
        ours.eval(), theirs.eval()
        torch.testing.assert_close(ours.weight, theirs.weight)
        state = theirs.state_dict()
        assert ours.state_dict().keys() == state.keys()
        for name, value in ours.state_dict().items():
            torch.testing.assert_close(value, state[name])

    def test_gradients_agree_with_torchs_own(self, kind):
        ours, theirs = make(kind), make(kind, torch_norm, eps=1e-6)
        for layer in (ours, theirs):
            layer.weight.pow(3).sum().backward()
        torch.testing.assert_close(original(ours).grad, original(theirs).grad)

    def test_the_largest_singular_value_is_one(self, kind):
        layer = make(kind)
        for _ in range(50):
            weight = layer.weight
        assert singular_values(weight)[0].item() == pytest.approx(1, abs=1e-4)

    def test_evaluation_leaves_the_vectors(self, kind):
        layer = make(kind).eval()
        with torch.no_grad():
            original(layer).normal_()
        before = {k: v.clone() for k, v in layer.named_buffers()}
        _ = layer.weight
        for name, value in layer.named_buffers():
            assert torch.equal(value, before[name])
        layer.train()
        _ = layer.weight
        assert not torch.equal(dict(layer.named_buffers())[name], before[name])


@pytest.mark.parametrize('dtype', LOW)
@pytest.mark.parametrize('kind', LAYERS)
class TestAutocast:
    def test_the_weight_is_that_of_float32(self, kind, dtype):
        plain, cast = make(kind), make(kind)
        for _ in range(3):
            expected = plain.weight
            with torch.autocast('cpu', dtype=dtype):
                weight = cast.weight
            assert weight.dtype is torch.float32
            assert torch.equal(weight, expected)
        for name, buffer in cast.named_buffers():
            assert buffer.dtype is torch.float32
            assert torch.equal(buffer, dict(plain.named_buffers())[name])

    def test_the_layer_itself_is_cast(self, kind, dtype):
        if kind == 'embedding':
            pytest.skip('a look-up is not cast')
        layer = make(kind)
        x = torch.randn(2, 6) if kind == 'linear' else torch.randn(2, 3, 5, 5)
        with torch.autocast('cpu', dtype=dtype):
            assert layer(x).dtype is dtype
            assert torch.is_autocast_enabled('cpu')
            assert torch.get_autocast_dtype('cpu') is dtype


class TestTinyWeights:
    """Their singular values are far below `eps`, and below float16."""

    @pytest.mark.parametrize('size', [1e-3, 1e-5, 1e-7, 1e-10, 1e-15, 1e-20])
    @pytest.mark.parametrize('dtype', [torch.float32, *LOW])
    def test_that_shrank(self, size, dtype):
        layer = make('linear')
        with torch.no_grad():
            original(layer).mul_(size / original(layer).norm())
        for _ in range(30):
            layer.zero_grad()
            with torch.autocast(
                'cpu', dtype=dtype, enabled=dtype is not torch.float32
            ):
                weight = layer.weight
            weight.square().sum().backward()
            assert weight.isfinite().all()
            assert original(layer).grad.isfinite().all()
            for buffer in layer.buffers():
                assert buffer.isfinite().all()
            assert singular_values(weight)[0] < 1.2

    @pytest.mark.parametrize('size', [1e-3, 1e-7, 1e-20])
    def test_from_the_beginning(self, size):
        torch.manual_seed(0)
        layer = nn.Linear(6, 4)
        with torch.no_grad():
            layer.weight.mul_(size / layer.weight.norm())
        layer = spectral_norm(layer)
        assert layer.weight.isfinite().all()
        assert layer(torch.randn(2, 6)).isfinite().all()


class TestDoubleBackward:
    def penalty(self, layer, dtype):
        """Of a gradient's norm, as WGAN-GP and R1 have it."""
        x = torch.linspace(-1, 1, 12).view(2, 6).requires_grad_()
        with torch.autocast(
            'cpu', dtype=dtype, enabled=dtype is not torch.float32
        ):
            out = layer(x).float().tanh().sum()
        (grad,) = torch.autograd.grad(out, x, create_graph=True)
        grad.float().square().sum().backward()
        return original(layer).grad

    def test_agrees_with_torchs_own(self):
        ours, theirs = make('linear'), make('linear', torch_norm, eps=1e-6)
        torch.testing.assert_close(
            self.penalty(ours, torch.float32),
            self.penalty(theirs, torch.float32),
        )

    def test_is_right(self):
        layer = make('linear').double().eval()
        x = torch.randn(2, 6, dtype=torch.double, requires_grad=True)
        weight = original(layer)
        assert torch.autograd.gradgradcheck(
            lambda w, x: torch.func.functional_call(
                layer, {'parametrizations.weight.original': w}, (x,)
            ).tanh(),
            (weight, x),
        )

    @pytest.mark.parametrize('dtype', LOW)
    def test_in_low_precision_is_close(self, dtype):
        expected = self.penalty(make('linear'), torch.float32).flatten()
        grad = self.penalty(make('linear'), dtype).flatten()
        cosine = nn.functional.cosine_similarity(grad, expected, dim=0)
        assert cosine > 0.99
        assert grad.norm() == pytest.approx(expected.norm().item(), rel=0.05)


class TestTwoForwardPasses:
    """Of one discriminator step: the vectors change between them."""

    def test_backward_through_both(self):
        layer = make('linear')
        real, fake = torch.randn(2, 3, 6)
        (layer(real).mean() - layer(fake).mean()).backward()
        assert original(layer).grad.isfinite().all()


class TestOnMeta:
    def test_a_model_can_be_laid_out_without_memory(self):
        with torch.device('meta'):
            layer = spectral_norm(nn.Linear(6, 4))
        assert original(layer).is_meta
