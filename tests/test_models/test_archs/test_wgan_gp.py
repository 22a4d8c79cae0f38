import pytest
import torch
from torch import nn

from mmamp.models.archs import WGANGPCritic, WGANGPGenerator
from mmamp.models.losses import WGANGP
from mmamp.registry import MODELS


class TestPaper:
    """Appendix F: 32x32, 128 channels everywhere."""

    def test_generator(self):
        generator = WGANGPGenerator(32)
        sizes = []
        for block in generator.layers[:3]:
            block.register_forward_hook(
                lambda _, args, out: sizes.append(tuple(out.shape[1:]))
            )
        assert generator(torch.randn(2, 128)).shape == (2, 3, 32, 32)
        assert sizes == [(128, 8, 8), (128, 16, 16), (128, 32, 32)]

    def test_critic(self):
        critic = WGANGPCritic(32)
        sizes = []
        for block in critic.layers[:4]:
            block.register_forward_hook(
                lambda _, args, out: sizes.append(tuple(out.shape[1:]))
            )
        assert critic(torch.randn(2, 3, 32, 32)).shape == (2, 1)
        assert sizes == [(128, 16, 16), (128, 8, 8), (128, 8, 8), (128, 8, 8)]

    def test_the_critic_mixes_no_images(self):
        critic = WGANGPCritic(16, base_channels=4)
        images = torch.randn(3, 3, 16, 16)
        alone = torch.cat([critic(image[None]) for image in images])
        torch.testing.assert_close(critic(images), alone)
        for module in critic.modules():
            assert not isinstance(module, nn.modules.batchnorm._BatchNorm)


@pytest.mark.parametrize('size', [8, 16, 64])
@pytest.mark.parametrize('channels', [1, 3])
def test_shapes(size, channels):
    generator = WGANGPGenerator(size, channels, base_channels=2, noise_size=5)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, channels, size, size)
    assert images.abs().max() <= 1
    critic = WGANGPCritic(size, channels, base_channels=2)
    assert critic(images).shape == (2, 1)


@pytest.mark.parametrize('network', [WGANGPGenerator, WGANGPCritic])
class TestBoth:
    @pytest.mark.parametrize('size', [0, 4, 12, -8])
    def test_another_size(self, network, size):
        with pytest.raises(ValueError, match=f'power of 2.* {size}$'):
            network(size)

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
    def test_runs_in_low_precision(self, network, dtype):
        net = network(16, base_channels=4)
        is_generator = network is WGANGPGenerator
        x = torch.randn(2, 128) if is_generator else torch.randn(2, 3, 16, 16)
        with torch.autocast('cpu', dtype=dtype):
            out = net(x)
        out.float().square().sum().backward()
        for param in net.parameters():
            assert param.grad.isfinite().all()

    def test_builds_from_a_config(self, network):
        cfg = dict(type=f'mmamp.{network.__name__}', image_size=16)
        assert isinstance(MODELS.build(cfg), network)


def test_the_penalty_reaches_every_weight():
    critic = WGANGPCritic(8, 1, base_channels=4)
    images = torch.randn(2, 1, 8, 8)
    WGANGP()(critic, (images,), (-images,)).backward()
    for name, param in critic.named_parameters():
        # A bias behind the last activation does not move the gradient.
        assert param.grad is not None or name.endswith('bias'), name
