"""Networks made plain."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, spectral_norm

from mmamp.compat.torch import name_as_identifiers
from mmamp.export import baked
from mmamp.models.archs import SAGANGenerator, UNetGenerator


def test_spectral_norm():
    network = SAGANGenerator(8, base_channels=2, noise_size=4)
    network.train()(torch.randn(4, 4))  # its vectors and statistics
    noise = torch.randn(3, 4)
    with torch.no_grad():
        wanted = network.eval()(noise)
    found = baked(network)
    assert found is network
    assert not [x for x in found.state_dict() if 'param' in x]
    torch.testing.assert_close(found(noise), wanted)


def test_all_that_computes_weights():
    layers = nn.Sequential(
        spectral_norm(nn.Linear(4, 4)),
        parametrizations.weight_norm(nn.Linear(4, 4)),
        parametrizations.orthogonal(nn.Linear(4, 4)),
    )
    with torch.no_grad():
        for param in layers.parameters():
            param.add_(torch.rand(param.shape))
        x = torch.rand(2, 4)
        wanted = layers.eval()(x)
        found = baked(layers)(x)
    assert sorted({x.rpartition('.')[2] for x in layers.state_dict()}) == [
        'bias',
        'weight',
    ]
    torch.testing.assert_close(found, wanted)


def refuse(*args):
    raise AssertionError('nothing is compiled')


def test_precision_memory_and_compiling():
    network = UNetGenerator(1, 1, base_channels=2, num_downs=2)
    network.bfloat16().to(memory_format=torch.channels_last)
    compiled = torch.compile(network, backend=refuse)
    network.downs[0].compile(backend=refuse)
    found = baked(compiled)
    assert found is network
    assert not found.training
    for value in found.state_dict().values():
        assert value.is_contiguous()
        assert value.dtype in (torch.float32, torch.int64)
    assert not any(x.requires_grad for x in found.parameters())
    assert found(torch.rand(1, 1, 8, 8)).dtype is torch.float32


@pytest.mark.parametrize('kind', ['IN', 'BN'])
def test_names_that_are_keywords(kind):
    network = UNetGenerator(
        1, 1, 2, num_downs=3, norm_cfg=dict(type=kind, affine=True)
    ).eval()
    x = torch.rand(1, 1, 16, 16)
    with torch.no_grad():
        wanted = network(x)
        count = len(network.state_dict())
        name_as_identifiers(network)
        assert torch.equal(network(x), wanted)
    names = {y for x in network.state_dict() for y in x.split('.')}
    assert len(network.state_dict()) == count
    assert 'in' not in names
    assert ('in_' in names) is (kind == 'IN')
