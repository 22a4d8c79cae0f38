import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn

from mmamp.models import ImageGAN
from mmamp.models.archs import DCGANDiscriminator, DCGANGenerator
from mmamp.registry import MODELS

BAD_SIZES = [-8, 0, 1, 2, 4, 7, 12, 48, 63]


def num_params(network):
    return sum(p.numel() for p in network.parameters())


class TestPublishedSize:
    """64x64, 64 channels, noise of 100, three colours."""

    def test_of_the_generator(self):
        with torch.device('meta'):
            assert num_params(DCGANGenerator(64)) == 3_576_704

    def test_of_the_discriminator(self):
        with torch.device('meta'):
            assert num_params(DCGANDiscriminator(64)) == 2_765_568


@pytest.mark.parametrize('size', [8, 16, 32, 64])
@pytest.mark.parametrize('channels', [1, 3])
class TestShapes:
    def test_of_images(self, size, channels):
        generator = DCGANGenerator(
            size, out_channels=channels, base_channels=2, noise_size=5
        )
        images = generator(torch.randn(3, 5))
        assert images.shape == (3, channels, size, size)
        assert images.abs().max() <= 1

    def test_of_logits(self, size, channels):
        discriminator = DCGANDiscriminator(
            size, in_channels=channels, base_channels=2
        )
        images = torch.randn(3, channels, size, size)
        assert discriminator(images).shape == (3, 1)


class TestLayers:
    """The paper's guidelines (section 3)."""

    def test_of_the_generator(self):
        *blocks, last = DCGANGenerator(32, base_channels=4).layers
        assert [b.conv.out_channels for b in blocks] == [16, 8, 4]
        for block in blocks:
            assert isinstance(block.conv, nn.ConvTranspose2d)
            assert isinstance(block.norm, nn.BatchNorm2d)
            assert isinstance(block.activate, nn.ReLU)
            assert block.conv.bias is None
        assert isinstance(last.conv, nn.ConvTranspose2d)
        assert not last.with_norm
        assert isinstance(last.activate, nn.Tanh)

    def test_of_the_discriminator(self):
        *blocks, last = DCGANDiscriminator(32, base_channels=4).layers
        assert [b.conv.out_channels for b in blocks] == [4, 8, 16]
        assert [b.with_norm for b in blocks] == [False, True, True]
        for block in blocks:
            assert isinstance(block.conv, nn.Conv2d)
            assert block.conv.stride == (2, 2)
            assert isinstance(block.activate, nn.LeakyReLU)
            assert block.activate.negative_slope == 0.2
        assert isinstance(last, nn.Conv2d)
        for module in DCGANDiscriminator(32).modules():
            assert not isinstance(module, (nn.Linear, nn.MaxPool2d))


class TestInit:
    @pytest.mark.parametrize('network', ['generator', 'discriminator'])
    def test_is_that_of_the_paper(self, network):
        """Through the whole model, as the Runner does it.

        mmcv's ConvModule initialises itself otherwise, and first.
        """
        torch.manual_seed(0)
        gan = ImageGAN(
            DCGANGenerator(32, base_channels=16),
            DCGANDiscriminator(32, base_channels=16),
            noise_size=100,
        )
        gan.init_weights()
        seen = set()
        for name, module in getattr(gan, network).named_modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                mean = 0.0
            elif isinstance(module, nn.BatchNorm2d):
                mean = 1.0
                assert (module.bias == 0).all()
            else:
                assert isinstance(module, ConvModule) or not list(
                    module.parameters(recurse=False)
                )
                continue
            seen.add(type(module))
            weight = module.weight.detach()
            # Four standard errors, of the mean and of the deviation.
            error = 4 * 0.02 / weight.numel() ** 0.5 + 1e-8
            assert weight.mean().item() == pytest.approx(mean, abs=error), name
            assert weight.std().item() == pytest.approx(0.02, abs=error), name
        assert len(seen) == 2

    def test_can_be_another(self):
        generator = DCGANGenerator(
            8,
            base_channels=4,
            init_cfg=[
                dict(type='Constant', layer='ConvTranspose2d', val=0.25)
            ],
        )
        generator.init_weights()
        for module in generator.modules():
            if isinstance(module, nn.ConvTranspose2d):
                assert (module.weight == 0.25).all()


@pytest.mark.parametrize('network', [DCGANGenerator, DCGANDiscriminator])
class TestBoth:
    @pytest.mark.parametrize('size', BAD_SIZES)
    def test_another_size_is_refused(self, network, size):
        with pytest.raises(
            ValueError, match=f'power of 2 from 8 on, but got {size}$'
        ):
            network(size)

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_runs_in_low_precision(self, network, dtype):
        net = network(16, base_channels=4)
        x = (
            torch.randn(2, 100)
            if network is DCGANGenerator
            else torch.randn(2, 3, 16, 16)
        )
        with torch.autocast('cpu', dtype=dtype):
            out = net(x)
        assert out.dtype is dtype
        assert out.isfinite().all()
        out.float().sum().backward()
        for param in net.parameters():
            assert param.grad.isfinite().all()

    def test_builds_from_a_config(self, network):
        cfg = dict(type=f'mmamp.{network.__name__}', image_size=8)
        assert isinstance(MODELS.build(cfg), network)


def test_biases_are_where_no_norm_is():
    nets = DCGANGenerator(16, bias=True), DCGANDiscriminator(16, bias=True)
    found = [
        [
            name
            for name, m in net.named_modules()
            if getattr(m, 'bias', None) is not None
            and not isinstance(m, nn.BatchNorm2d)
        ]
        for net in nets
    ]
    assert found == [['layers.2.conv'], ['layers.0.conv', 'layers.2']]


def test_slope():
    net = DCGANDiscriminator(16, negative_slope=0.01)
    slopes = {
        m.negative_slope for m in net.modules() if hasattr(m, 'negative_slope')
    }
    assert slopes == {0.01}
