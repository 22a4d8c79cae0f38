import warnings

import pytest
import torch
from torch import nn

from mmamp.models.archs import ResNetGenerator


def test_published_size():
    """As the authors' code prints it, in millions to three places."""
    with torch.device('meta'):
        size = sum(p.numel() for p in ResNetGenerator().parameters())
    assert f'{size / 1e6:.3f}' == '11.378'


@pytest.mark.parametrize(('height', 'width'), [(16, 16), (32, 20)])
def test_shapes(height, width):
    generator = ResNetGenerator(3, 1, base_channels=2, num_blocks=1)
    images = generator(torch.randn(2, 3, height, width))
    assert images.shape == (2, 1, height, width)
    assert images.abs().max() <= 1


def test_another_size_is_refused():
    with pytest.raises(ValueError, match='multiples of 4, but got 30x32'):
        ResNetGenerator(base_channels=2)(torch.randn(1, 3, 30, 32))


def test_layers():
    generator = ResNetGenerator(base_channels=2, num_blocks=2)
    convs = [m for m in generator.modules() if isinstance(m, nn.Conv2d)]
    assert [c.kernel_size[0] for c in convs] == [7, 3, 3, *[3] * 4, 7]
    assert [c.stride[0] for c in convs] == [1, 2, 2, *[1] * 4, 1]
    assert len([*filter(_is(nn.ConvTranspose2d), generator.modules())]) == 2
    # Two at the ends, two in each block.
    assert len([*filter(_is(nn.ReflectionPad2d), generator.modules())]) == 6
    assert len([*filter(_is(nn.InstanceNorm2d), generator.modules())]) == 9


def _is(kind):
    return lambda module: isinstance(module, kind)


def test_blocks_stand_beside_an_identity():
    block = ResNetGenerator(base_channels=2, num_blocks=1).layers[3]
    for param in block.parameters():
        nn.init.zeros_(param)
    x = torch.randn(1, 8, 6, 6)
    assert torch.equal(block(x), x)


def test_says_nothing_of_biases():
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        ResNetGenerator(base_channels=2)
    assert [str(warning.message) for warning in said] == []


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_runs_in_low_precision(dtype):
    generator = ResNetGenerator(base_channels=4, num_blocks=2)
    with torch.autocast('cpu', dtype=dtype):
        out = generator(torch.randn(2, 3, 16, 16))
    assert out.isfinite().all()
    out.float().sum().backward()
    for param in generator.parameters():
        assert param.grad.isfinite().all()
