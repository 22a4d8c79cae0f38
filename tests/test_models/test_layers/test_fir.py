import numpy as np
import pytest
import torch
from scipy.signal import upfirdn

from mmamp.models.layers.fir import FIR, Downsample, Upsample

LAYERS = {
    'blur': FIR,
    'before a strided convolution': lambda: FIR(padding=2),
    'after a transposed convolution': lambda: FIR(gain=4.0),
    'down': Downsample,
    'up': Upsample,
}
LOW = (torch.float16, torch.bfloat16)
TAPS = np.array([1.0, 3.0, 3.0, 1.0]) / 8


# Where the image begins in what the filter makes of it and of the zeros
# around, the upsampling before, and the stride after.
AS_SCIPY = {
    'blur': (2, 1, 1),
    'before a strided convolution': (1, 1, 1),
    'after a transposed convolution': (2, 1, 1),
    'down': (2, 1, 2),
    'up': (1, 2, 1),
}


def by_scipy(name, x, shape):
    """One axis after the other."""
    start, up, stride = AS_SCIPY[name]
    for axis in (2, 3):
        x = upfirdn(TAPS * up, x, up=up, axis=axis)
        stop = start + shape[axis] * stride
        x = x.take(range(start, stop, stride), axis=axis)
    return 4 * x if name.startswith('after') else x


@pytest.mark.parametrize('name', LAYERS)
class TestMaths:
    def test_is_scipys(self, name):
        x = torch.randn(2, 3, 8, 6, dtype=torch.float64)
        out = LAYERS[name]()(x)
        expected = torch.from_numpy(by_scipy(name, x.numpy(), out.shape))
        torch.testing.assert_close(out, expected)

    def test_second_derivative(self, name):
        layer = LAYERS[name]().double()
        x = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(layer, x)
        assert torch.autograd.gradgradcheck(lambda x: layer(x).tanh(), x)

    @pytest.mark.parametrize('dtype', [torch.float32, *LOW])
    @pytest.mark.parametrize(
        'layout', [torch.contiguous_format, torch.channels_last]
    )
    def test_double_backward_under_autocast(self, name, dtype, layout):
        layer = LAYERS[name]()
        x = torch.randn(2, 4, 8, 8)

        def second(dtype):
            image = x.to(dtype, memory_format=layout, copy=True)
            image.requires_grad_()
            with torch.autocast('cpu', dtype=dtype, enabled=dtype in LOW):
                out = layer(image)
            assert out.dtype is dtype
            (grad,) = torch.autograd.grad(
                out.float().pow(3).sum(), image, create_graph=True
            )
            grad.float().square().sum().backward()
            return image.grad.flatten().double()

        true, found = second(torch.float64), second(dtype)
        assert torch.cosine_similarity(true, found, dim=0) > 0.999
        assert (found.norm() / true.norm() - 1).abs() < 0.01

    @pytest.mark.parametrize('dtype', LOW)
    def test_float32_stays_so_under_autocast(self, name, dtype):
        layer = LAYERS[name]()
        x = torch.randn(2, 4, 8, 8)
        with torch.autocast('cpu', dtype=dtype):
            out = layer(x)
        assert torch.equal(out, layer(x))

    def test_is_not_in_checkpoints(self, name):
        layer = LAYERS[name]()
        assert not layer.state_dict()
        assert not list(layer.parameters())


class TestSizes:
    @pytest.mark.parametrize('size', [4, 8, 32])
    def test_halves_and_doubles(self, size):
        x = torch.randn(1, 2, size, size)
        assert Downsample()(x).shape == (1, 2, size // 2, size // 2)
        assert Upsample()(x).shape == (1, 2, 2 * size, 2 * size)
        assert FIR(padding=2)(x).shape == (1, 2, size + 1, size + 1)

    def test_a_flat_image_stays_as_bright(self):
        """But at its border, beyond which are zeros."""
        x = torch.full((1, 1, 16, 16), 0.7)
        for layer in (Upsample(), Downsample(), FIR()):
            inner = layer(x)[..., 2:-2, 2:-2]
            torch.testing.assert_close(inner, torch.full_like(inner, 0.7))
