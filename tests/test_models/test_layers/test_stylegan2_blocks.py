import math

import pytest
import torch
import torch.nn.functional as F

from mmamp.models.layers.equalized import EqualizedConv2d, EqualizedLinear
from mmamp.models.layers.stylegan2_blocks import (
    ConvLayer,
    MinibatchStd,
    ModulatedConv2d,
    ResidualBlock,
    StyledLayer,
    ToRGB,
)

LOW = (torch.float16, torch.bfloat16)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def rms(x):
    return x.double().square().mean().sqrt().item()


def weights_of(conv, w):
    """Modulated and demodulated weights of each sample, by the paper."""
    style = F.linear(
        w, conv.affine.weight * conv.affine.gain, conv.affine.bias
    )
    weight = conv.weight[None] * style[:, None, :, None, None]
    if conv.demodulate:
        norm = weight.square().sum((2, 3, 4), keepdim=True).sqrt()
        return weight / norm
    return weight * conv.gain


class TestEqualized:
    """Weights of unit variance; the gain comes at run time."""

    @pytest.mark.parametrize('lr_mult', [1.0, 0.01])
    def test_linear(self, lr_mult):
        layer = EqualizedLinear(400, 300, bias_init=2.0, lr_mult=lr_mult)
        assert rms(layer.weight) == pytest.approx(1 / lr_mult, rel=0.02)
        x = torch.randn(5, 400)
        expected = x @ layer.weight.T * lr_mult / 20 + 2.0
        torch.testing.assert_close(layer(x), expected)
        assert rms(layer(x) - 2) == pytest.approx(1, rel=0.1)

    @pytest.mark.parametrize('lr_mult', [1.0, 0.01])
    def test_a_step_is_as_large_as_the_multiplier_says(self, lr_mult):
        """Of Adam, whose steps do not depend on the gradient's size."""
        layer = EqualizedLinear(16, 4, lr_mult=lr_mult)
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.1, eps=1e-20)

        def effective():
            eye = torch.eye(16)
            zero = layer(torch.zeros(1, 16))
            return (layer(eye) - zero).detach(), zero.detach()

        before = effective()
        layer(torch.ones(1, 16)).sum().backward()
        optimizer.step()
        weight, bias = (
            a - b for a, b in zip(before, effective(), strict=True)
        )
        torch.testing.assert_close(
            weight,
            torch.full_like(weight, 0.1 * lr_mult / 4),
            rtol=0.02,
            atol=1e-6,
        )
        torch.testing.assert_close(bias, torch.full_like(bias, 0.1 * lr_mult))

    @pytest.mark.parametrize('size', [1, 3])
    def test_convolution(self, size):
        layer = EqualizedConv2d(64, 32, size)
        assert rms(layer.weight) == pytest.approx(1, rel=0.05)
        x = torch.randn(2, 64, 8, 8)
        expected = F.conv2d(x, layer.weight, padding=size // 2)
        expected = expected / math.sqrt(64 * size**2)
        torch.testing.assert_close(layer(x), expected)

    @pytest.mark.parametrize('size', [1, 3])
    def test_downsampling_filters_first(self, size):
        """The same as the filter, then a convolution, then a stride."""
        layer = EqualizedConv2d(4, 5, size, downsample=True)
        x = torch.randn(2, 4, 16, 16)
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        kernel = taps.outer(taps).expand(4, 1, 4, 4)
        blurred = F.conv2d(x, kernel, padding=1 + size // 2, groups=4)
        expected = F.conv2d(blurred, layer.weight * layer.gain)[..., ::2, ::2]
        assert layer(x).shape == (2, 5, 8, 8)
        torch.testing.assert_close(layer(x), expected)


class TestModulatedConv:
    @pytest.mark.parametrize('size', [1, 3])
    @pytest.mark.parametrize('demodulate', [True, False])
    def test_is_a_convolution_with_a_kernel_for_each_sample(
        self, size, demodulate
    ):
        conv = ModulatedConv2d(6, 5, size, 7, demodulate=demodulate)
        x, w = torch.randn(3, 6, 8, 8), torch.randn(3, 7)
        expected = torch.cat(
            [
                F.conv2d(x[i : i + 1], weight, padding=size // 2)
                for i, weight in enumerate(weights_of(conv, w))
            ]
        )
        torch.testing.assert_close(conv(x, w), expected, rtol=1e-4, atol=1e-5)

    def test_upsampling_is_a_convolution_between_zeros(self):
        """Zeros between the pixels, a convolution, the filter."""
        conv = ModulatedConv2d(6, 5, 3, 7, upsample=True)
        x, w = torch.randn(2, 6, 4, 4), torch.randn(2, 7)
        spread = torch.zeros(2, 6, 8, 8)
        spread[..., ::2, ::2] = x
        taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
        kernel = taps.outer(taps).expand(5, 1, 4, 4)
        for i, weight in enumerate(weights_of(conv, w)):
            # A transposed convolution has its kernel turned round.
            padded = F.pad(spread[i : i + 1], (2, 1, 2, 1))
            h = F.conv2d(padded, weight.flip(2, 3))
            expected = F.conv2d(F.pad(h, (1, 2, 1, 2)), kernel, groups=5)
            out = conv(x[i : i + 1], w[i : i + 1])
            assert out.shape == (1, 5, 8, 8)
            torch.testing.assert_close(
                out, expected[..., :8, :8], rtol=1e-4, atol=1e-5
            )

    def test_styles_start_around_one(self):
        conv = ModulatedConv2d(6, 5, 3, 7)
        assert (conv.affine.bias == 1).all()
        assert (conv.affine(torch.zeros(1, 7)) == 1).all()

    @pytest.mark.parametrize('scale', [1e-6, 1.0, 1e6])
    def test_outputs_have_unit_variance(self, scale):
        """Whatever the sizes of weights and styles."""
        conv = ModulatedConv2d(64, 32, 3, 16)
        with torch.no_grad():
            conv.weight.mul_(scale)
            conv.affine.weight.mul_(scale)
            conv.affine.bias.mul_(scale)
        out = conv(torch.randn(4, 64, 16, 16), torch.randn(4, 16))
        # But at the border, which sees zeros.
        assert rms(out[..., 1:-1, 1:-1]) == pytest.approx(1, rel=0.05)

    @pytest.mark.parametrize('dtype', LOW)
    @pytest.mark.parametrize('scale', [1e-6, 1.0, 1e6])
    def test_in_low_precision_at_any_size_of_weights(self, dtype, scale):
        conv = ModulatedConv2d(64, 32, 3, 16)
        with torch.no_grad():
            conv.weight.mul_(scale)
            conv.affine.weight.mul_(scale)
            conv.affine.bias.mul_(scale)
        # As large as a clamp of 256 lets it be.
        x = (torch.randn(4, 64, 8, 8) * 100).clamp(-256, 256)
        w = torch.randn(4, 16)
        true = conv(x, w)
        with torch.autocast('cpu', dtype=dtype):
            out = conv(x.to(dtype), w)
        assert out.dtype is dtype
        assert rms(out - true) < 0.02 * rms(true)

    def test_zero_styles_and_weights_give_zero(self):
        conv = ModulatedConv2d(4, 3, 3, 2)
        x, w = torch.randn(2, 4, 4, 4), torch.randn(2, 2)
        with torch.no_grad():
            conv.affine.weight.zero_(), conv.affine.bias.zero_()
            conv.weight[0].zero_()
        out = conv(x, w)
        assert (out == 0).all()
        out.sum().backward()
        for param in conv.parameters():
            assert param.grad.isfinite().all()

    @pytest.mark.parametrize('upsample', [False, True])
    def test_second_derivative(self, upsample):
        conv = ModulatedConv2d(3, 2, 3, 2, upsample=upsample).double()
        x = torch.randn(2, 3, 3, 3, dtype=torch.float64, requires_grad=True)
        w = torch.randn(2, 2, dtype=torch.float64, requires_grad=True)
        weight = conv.weight

        def run(x, w, weight):
            return torch.func.functional_call(
                conv, dict(weight=weight), (x, w)
            )

        # Not finite differences of the largest element, which is detached:
        # what depends on it is smaller than their error.
        assert torch.autograd.gradcheck(run, (x, w, weight), atol=1e-4)
        assert torch.autograd.gradgradcheck(run, (x, w, weight), atol=1e-4)


class TestStyledLayer:
    def make(self, **kwargs):
        layer = StyledLayer(4, 6, 8, 5, **kwargs)
        with torch.no_grad():
            layer.noise_strength.fill_(0.5)
            layer.bias.normal_()
        return layer, torch.randn(3, 4, 8, 8), torch.randn(3, 5)

    def test_what_it_computes(self):
        layer, x, w = self.make()
        layer.eval()
        h = layer.conv(x, w) + 0.5 * layer.noise
        h = h + layer.bias[:, None, None]
        expected = torch.where(h > 0, h, 0.2 * h) * math.sqrt(2)
        torch.testing.assert_close(layer(x, w), expected)

    def test_noise_does_not_count_in_the_beginning(self):
        layer = StyledLayer(4, 6, 8, 5)
        x, w = torch.randn(3, 4, 8, 8), torch.randn(3, 5)
        assert torch.equal(layer(x, w), layer(x, w))

    def test_noise_is_fresh_in_training_and_fixed_in_evaluation(self):
        layer, x, w = self.make()
        assert not torch.equal(layer(x, w), layer(x, w))
        layer.eval()
        assert torch.equal(layer(x, w), layer(x, w))
        assert 'noise' in layer.state_dict()
        assert 'noise' not in dict(layer.named_parameters())

    def test_noise_is_standard_normal_one_channel_a_sample(self):
        layer, *_ = self.make()
        drawn = layer._noise(torch.zeros(500, 6, 8, 8), None)
        assert drawn.shape == (500, 1, 8, 8)
        assert drawn.mean().abs() < 0.02
        assert rms(drawn) == pytest.approx(1, abs=0.02)

    def test_noise_from_a_generator(self):
        layer, x, w = self.make()

        def run(seed):
            return layer(x, w, torch.Generator().manual_seed(seed))

        assert torch.equal(run(3), run(3))
        assert not torch.equal(run(3), run(4))
        torch.manual_seed(5)
        expected = torch.randn(4)
        torch.manual_seed(5)
        run(3)
        assert torch.equal(torch.randn(4), expected)

    @pytest.mark.parametrize('dtype', LOW)
    def test_neither_noise_nor_bias_makes_it_float32(self, dtype):
        layer, x, w = self.make()
        with torch.autocast('cpu', dtype=dtype):
            assert layer(x, w).dtype is dtype
            assert ToRGB(4, 3, 5)(x, w).dtype is dtype


class TestClamp:
    @pytest.mark.parametrize('clamp', [0.3, 2])
    def test_bounds_every_output(self, clamp):
        x, w = 100 * torch.randn(3, 4, 8, 8), torch.randn(3, 5)
        layers = [
            ConvLayer(4, 4, 3, conv_clamp=clamp),
            StyledLayer(4, 4, 8, 5, conv_clamp=clamp),
            ToRGB(4, 3, 5, conv_clamp=clamp),
        ]
        for layer in layers:
            free = (x, w)[: 1 if isinstance(layer, ConvLayer) else 2]
            assert layer(*free).abs().max() == torch.tensor(clamp).float()
            layer.conv_clamp = None
            assert layer(*free).abs().max() > 2 * clamp

    def test_reaches_the_layers_of_a_residual_block(self):
        block = ResidualBlock(4, 6, conv_clamp=3.0)
        assert block.conv0.conv_clamp == block.conv1.conv_clamp == 3.0


class TestResidualBlock:
    def test_is_the_two_paths_over_the_root_of_two(self):
        block = ResidualBlock(4, 6)
        x = torch.randn(2, 4, 8, 8)
        expected = block.conv1(block.conv0(x)) + block.skip(x)
        assert block(x).shape == (2, 6, 4, 4)
        torch.testing.assert_close(block(x), expected / math.sqrt(2))

    def test_the_skip_is_linear(self):
        block = ResidualBlock(4, 6)
        x, y = torch.randn(2, 2, 4, 8, 8)
        torch.testing.assert_close(
            block.skip(x + 3 * y), block.skip(x) + 3 * block.skip(y)
        )


class TestMinibatchStd:
    @pytest.mark.parametrize(
        ('num', 'group_size', 'size'),
        [(8, 4, 4), (4, 4, 4), (3, 4, 3), (6, 4, 3), (8, 3, 2), (5, 4, 1)],
    )
    def test_against_a_loop(self, num, group_size, size):
        x = torch.randn(num, 3, 4, 5)
        out = MinibatchStd(group_size)(x)
        assert out.shape == (num, 4, 4, 5)
        assert torch.equal(out[:, :3], x)
        groups = num // size
        for i in range(num):
            group = torch.stack(
                [x[j] for j in range(num) if (j - i) % groups == 0]
            )
            assert len(group) == size
            mean = group.mean(0)
            total = sum((y - mean).square() for y in group) / size
            value = (total + 1e-8).sqrt().mean()
            torch.testing.assert_close(
                out[i, 3], value.expand(4, 5), rtol=1e-4, atol=1e-6
            )

    def test_equal_samples_differ_by_nothing(self):
        """And have a derivative all the same."""
        x = torch.randn(1, 3, 4, 4).repeat(4, 1, 1, 1).requires_grad_()
        out = MinibatchStd()(x)
        assert out[:, 3].max() < 2e-4
        (grad,) = torch.autograd.grad(out.sum(), x, create_graph=True)
        grad.square().sum().backward()
        assert x.grad.isfinite().all()

    @pytest.mark.parametrize('dtype', LOW)
    def test_of_numbers_whose_squares_float16_has_not(self, dtype):
        x = (1000 * torch.randn(4, 3, 4, 4)).to(dtype)
        with torch.autocast('cpu', dtype=dtype):
            out = MinibatchStd()(x)
        assert out.dtype is dtype
        true = MinibatchStd()(x.double())
        torch.testing.assert_close(out.double(), true, rtol=1e-2, atol=0)
