import pytest
import torch
from torch import nn

from mmamp.models.archs import LSGANDiscriminator, LSGANGenerator
from mmamp.registry import MODELS


class TestPaper:
    """Figure 1: 112x112, 64 channels."""

    def test_generator(self):
        generator = LSGANGenerator(112)
        sizes = []
        for layer in generator.layers[:-1]:
            layer.register_forward_hook(
                lambda _, args, out: sizes.append(tuple(out.shape[1:]))
            )
        assert generator.linear.out_features == 256 * 7 * 7
        with torch.no_grad():
            generator(torch.randn(2, 1024))
        assert sizes == [
            (256, 14, 14),
            (256, 14, 14),
            (256, 28, 28),
            (256, 28, 28),
            (128, 56, 56),
            (64, 112, 112),
            (3, 112, 112),
        ]
        convs = [
            m for m in generator.modules() if isinstance(m, nn.ConvTranspose2d)
        ]
        assert {conv.kernel_size for conv in convs} == {(5, 5)}

    def test_discriminator(self):
        discriminator = LSGANDiscriminator(112)
        sizes = []
        for layer in discriminator.layers:
            layer.register_forward_hook(
                lambda _, args, out: sizes.append(tuple(out.shape[1:]))
            )
        with torch.no_grad():
            discriminator(torch.randn(1, 3, 112, 112).expand(2, -1, -1, -1))
        assert sizes == [
            (64, 56, 56),
            (128, 28, 28),
            (256, 14, 14),
            (512, 7, 7),
        ]
        norms = [layer.with_norm for layer in discriminator.layers]
        assert norms == [False, True, True, True]


@pytest.mark.parametrize('size', [16, 32, 48])
@pytest.mark.parametrize('channels', [1, 3])
def test_shapes(size, channels):
    generator = LSGANGenerator(size, channels, base_channels=2, noise_size=5)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    discriminator = LSGANDiscriminator(size, channels, base_channels=2)
    assert discriminator(images).shape == (2, 1)


@pytest.mark.parametrize('network', [LSGANGenerator, LSGANDiscriminator])
class TestBoth:
    @pytest.mark.parametrize('size', [0, 8, 20, -16])
    def test_another_size(self, network, size):
        with pytest.raises(ValueError, match=f'multiple of 16.* {size}$'):
            network(size)

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_runs_in_low_precision(self, network, dtype):
        net = network(16, base_channels=2)
        is_generator = network is LSGANGenerator
        x = torch.randn(2, 1024) if is_generator else torch.randn(2, 3, 16, 16)
        with torch.autocast('cpu', dtype=dtype):
            out = net(x)
        assert out.dtype is dtype
        out.float().square().sum().backward()
        for param in net.parameters():
            assert param.grad.isfinite().all()

    def test_builds_from_a_config(self, network):
        cfg = dict(type=f'mmamp.{network.__name__}', image_size=16)
        assert isinstance(MODELS.build(cfg), network)


def test_kernels_of_three():
    net = LSGANGenerator(32, base_channels=4, noise_size=8, kernel_size=3)
    sizes = {
        m.kernel_size
        for m in net.modules()
        if isinstance(m, nn.ConvTranspose2d)
    }
    assert sizes == {(3, 3)}
    assert net(torch.randn(2, 8)).shape == (2, 3, 32, 32)


@pytest.mark.parametrize('size', [1, 4, 7])
def test_bad_kernel(size):
    with pytest.raises(ValueError, match=f'3 or 5, but got {size}'):
        LSGANGenerator(32, kernel_size=size)
