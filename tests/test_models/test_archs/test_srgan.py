import pytest
import torch
from torch import nn

from mmamp.models.archs import SRGANDiscriminator, SRResNet


def num_params(network):
    return sum(p.numel() for p in network.parameters())


class TestSRResNet:
    def test_size(self):
        """Layer by layer, from figure 4 of the paper."""
        block = 2 * (9 * 64 * 64 + 2 * 64) + 1
        size = (
            (81 * 3 * 64 + 64 + 1)
            + 16 * block
            + (9 * 64 * 64 + 2 * 64)
            + 2 * (9 * 64 * 256 + 256 + 1)
            + (81 * 64 * 3 + 3)
        )
        with torch.device('meta'):
            assert num_params(SRResNet()) == size == 1_547_350

    @pytest.mark.parametrize('scale', [2, 4, 8])
    def test_shapes(self, scale):
        net = SRResNet(3, 1, base_channels=4, num_blocks=2, scale=scale)
        images = net(torch.randn(2, 3, 6, 8))
        assert images.shape == (2, 1, 6 * scale, 8 * scale)

    @pytest.mark.parametrize('scale', [1, 3, 6, 0, True])
    def test_another_scale_is_refused(self, scale):
        with pytest.raises(ValueError, match='SRResNet: scale must be'):
            SRResNet(scale=scale)

    def test_layers(self):
        net = SRResNet(base_channels=4, num_blocks=3)
        kinds = [type(m) for m in net.modules()]
        assert kinds.count(nn.BatchNorm2d) == 2 * 3 + 1
        assert kinds.count(nn.PReLU) == 1 + 3 + 2
        assert nn.ReLU not in kinds

    def test_both_identities(self):
        """Of the blocks, and of them all."""
        net = SRResNet(base_channels=4, num_blocks=2).eval()
        x = torch.randn(1, 3, 5, 5)
        for param in net.blocks.parameters():
            nn.init.zeros_(param)
        inside = torch.randn(1, 4, 5, 5)
        assert torch.equal(net.blocks[0](inside), inside)
        assert torch.equal(net(x), net.last(net.upsample(net.first(x))))


class TestDiscriminator:
    def test_size(self):
        """Layer by layer, from figure 4; 96x96 images."""
        widths = [64, 64, 128, 128, 256, 256, 512, 512]
        size = 9 * 3 * 64 + 64
        for i in range(1, 8):
            size += 9 * widths[i - 1] * widths[i] + 2 * widths[i]
        size += 512 * 6 * 6 * 1024 + 1024 + 1024 + 1
        with torch.device('meta'):
            assert num_params(SRGANDiscriminator(96)) == size == 23_563_649

    @pytest.mark.parametrize('size', [16, 96])
    def test_shape(self, size):
        net = SRGANDiscriminator(size, base_channels=2, hidden_channels=4)
        assert net(torch.randn(2, 3, size, size)).shape == (2, 1)

    def test_layers(self):
        net = SRGANDiscriminator(16, base_channels=2)
        assert [m.conv.stride[0] for m in net.layers] == [1, 2] * 4
        assert [m.with_norm for m in net.layers] == [False] + [True] * 7
        for module in net.modules():
            if isinstance(module, nn.LeakyReLU):
                assert module.negative_slope == 0.2

    @pytest.mark.parametrize('size', [0, 24, 97])
    def test_another_size_is_refused(self, size):
        with pytest.raises(ValueError, match='image_size must be'):
            SRGANDiscriminator(size)

    def test_other_images_are_refused(self):
        net = SRGANDiscriminator(16, base_channels=2)
        with pytest.raises(ValueError, match='=16 got images of 32x16'):
            net(torch.randn(1, 3, 32, 16))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    'net',
    [
        SRResNet(base_channels=4, num_blocks=2),
        SRGANDiscriminator(16, base_channels=4),
    ],
)
def test_runs_in_low_precision(net, dtype):
    net.zero_grad()
    with torch.autocast('cpu', dtype=dtype):
        out = net(torch.randn(2, 3, 16, 16))
    assert out.dtype is dtype
    out.float().sum().backward()
    for param in net.parameters():
        assert param.grad.isfinite().all()
