import pytest
import torch
from mmengine.model import BaseModel
from torch import nn

from mmamp.models.archs import RRDBNet


def test_published_size():
    with torch.device('meta'):
        size = sum(p.numel() for p in RRDBNet().parameters())
    assert size == 16_697_987


@pytest.mark.parametrize('scale', [2, 4])
def test_shapes(scale):
    net = RRDBNet(
        1, 3, base_channels=4, num_blocks=1, growth_channels=2, scale=scale
    )
    images = net(torch.randn(2, 1, 6, 8))
    assert images.shape == (2, 3, 6 * scale, 8 * scale)


def test_another_scale_is_refused():
    with pytest.raises(ValueError, match='RRDBNet: scale must be a power'):
        RRDBNet(scale=3)


def test_there_is_no_norm():
    net = RRDBNet(base_channels=4, num_blocks=1, growth_channels=2)
    for module in net.modules():
        assert not isinstance(module, nn.modules.batchnorm._NormBase)


def test_residual_scaling():
    """A dense block whose last layer is 1 adds 0.2, an RRDB of such 0.12."""
    net = RRDBNet(base_channels=4, num_blocks=1, growth_channels=2)
    rrdb = net.blocks[0]
    for dense in rrdb.blocks:
        nn.init.zeros_(dense.layers[-1].conv.weight)
        nn.init.ones_(dense.layers[-1].conv.bias)
    x = torch.randn(1, 4, 5, 5)
    torch.testing.assert_close(rrdb.blocks[0](x), x + 0.2)
    # It is x + 0.2 (x + 0.6), since the three blocks are a sequence.
    torch.testing.assert_close(rrdb(x), x + 0.2 * (x + 0.6))


def test_dense_layers_see_all_before():
    dense = RRDBNet(base_channels=4, num_blocks=1, growth_channels=2)
    layers = dense.blocks[0].blocks[0].layers
    assert [m.conv.in_channels for m in layers] == [4, 6, 8, 10, 12]
    assert [m.conv.out_channels for m in layers] == [2, 2, 2, 2, 4]
    assert [m.with_activation for m in layers] == [True] * 4 + [False]


def test_dense_blocks_begin_small():
    """Also after a Runner has had everything initialised."""

    class Model(BaseModel):
        def __init__(self):
            super().__init__()
            self.net = RRDBNet(
                base_channels=32, num_blocks=1, growth_channels=32
            )

        def forward(self):
            pass

    torch.manual_seed(0)
    model = Model()
    model.init_weights()
    small = model.net.blocks[0].blocks[0].layers[0].conv
    fan_in = 9 * 32
    assert small.weight.std().item() == pytest.approx(
        0.1 * (2 / fan_in) ** 0.5, rel=0.1
    )
    assert not small.bias.any()
    # The others as torch begins: uniform up to 1 / sqrt(fan_in), bias too.
    for usual in (model.net.upsample[0].conv, model.net.blocks[-1].conv):
        for values in (usual.weight, usual.bias):
            assert 0.8 < values.abs().max().item() * fan_in**0.5 <= 1


def test_images_begin_in_range():
    """Those of mmcv's convolutions had a deviation of 64."""
    torch.manual_seed(0)
    net = RRDBNet()
    net.init_weights()
    with torch.no_grad():
        images = net(torch.rand(1, 3, 24, 24) * 2 - 1)
    assert 0.1 < images.std() < 1


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_runs_in_low_precision(dtype):
    net = RRDBNet(base_channels=4, num_blocks=2, growth_channels=2)
    with torch.autocast('cpu', dtype=dtype):
        out = net(torch.randn(2, 3, 8, 8))
    assert out.dtype is dtype
    out.float().sum().backward()
    for param in net.parameters():
        assert param.grad.isfinite().all()
