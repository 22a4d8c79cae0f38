import pytest
import torch
from torch import nn

from mmamp.models.archs import MSRResNet, SRGANDiscriminator, SRResNet


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


class TestMSRResNet:
    def test_size(self):
        """16 blocks of 64 channels, as published."""
        block = 2 * (9 * 64 * 64 + 64)
        size = (
            (9 * 3 * 64 + 64)
            + 16 * block
            + 2 * (9 * 64 * 256 + 256)
            + (9 * 64 * 64 + 64)
            + (9 * 64 * 3 + 3)
        )
        with torch.device('meta'):
            assert num_params(MSRResNet()) == size == 1_517_571

    @pytest.mark.parametrize('scale', [2, 3, 4])
    def test_shapes(self, scale):
        net = MSRResNet(1, 1, base_channels=4, num_blocks=2, scale=scale)
        images = net(torch.randn(2, 1, 6, 8))
        assert images.shape == (2, 1, 6 * scale, 8 * scale)

    def test_it_begins_near_the_bilinear_image(self):
        images = torch.rand(1, 3, 8, 8)
        base = nn.functional.interpolate(
            images, scale_factor=4, mode='bilinear'
        )
        torch.manual_seed(0)
        assert (MSRResNet()(images) - base).abs().max() < 0.05

    def test_its_activations_between_are_left_out(self):
        torch.manual_seed(0)
        net = MSRResNet(base_channels=4, num_blocks=1)
        images = torch.randn(1, 3, 4, 4)
        net.load_state_dict({k: x * 5 for k, x in net.state_dict().items()})
        with_them = net(images)
        net.upsample_act = False
        assert not torch.allclose(net(images), with_them)

    @pytest.mark.parametrize('scale', [1, 5, 8, '4'])
    def test_bad_scale(self, scale):
        with pytest.raises(ValueError, match=f'2, 3 or 4, but got {scale!r}'):
            MSRResNet(scale=scale)


class TestPublishedDiscriminator:
    def test_size(self):
        """Ten convolutions, of which every second halves 128x128 by 4x4."""
        widths = [64, 64, 128, 128, 256, 256, 512, 512, 512, 512]
        size, before = 64, 3
        for i, width in enumerate(widths):
            size += before * width * (16 if i % 2 else 9)
            size += 2 * width if i else 0
            before = width
        size += 512 * 16 * 100 + 100 + 100 + 1
        with torch.device('meta'):
            net = SRGANDiscriminator(
                128, hidden_channels=100, num_stages=5, down_kernel=4
            )
        assert num_params(net) == size == 14_499_401

    @pytest.mark.parametrize('kernel', [2, 5, '4'])
    def test_bad_kernel(self, kernel):
        with pytest.raises(ValueError, match=f'3 or 4, but got {kernel!r}'):
            SRGANDiscriminator(32, down_kernel=kernel)

    def test_bad_multiple(self):
        with pytest.raises(ValueError, match='multiple of 32, but got 48'):
            SRGANDiscriminator(48, num_stages=5)
