import pytest
import torch
from torch import nn

from mmamp import SeparateDistributedDataParallel
from mmamp.models import ImageGAN


def make_gan():
    return ImageGAN(nn.Linear(6, 16), nn.Linear(16, 1), noise_size=6)


def test_parameters_of_its_own(as_rank):
    gan = make_gan()
    gan.scale = nn.Parameter(torch.ones(()))
    with (
        as_rank(0),
        pytest.raises(ValueError, match=r'\(scale\).*generator, discr'),
    ):
        SeparateDistributedDataParallel(gan)


def test_parameters_of_two_networks(as_rank):
    gan = make_gan()
    gan.discriminator.bias = nn.Parameter(torch.ones(1))
    gan.generator.scale = gan.discriminator.bias
    with (
        as_rank(0),
        pytest.raises(ValueError, match=r'or and .*\(discriminator\.bias\)'),
    ):
        SeparateDistributedDataParallel(gan)
    gan.discriminator.bias.requires_grad_(False)
    with as_rank(0):
        SeparateDistributedDataParallel(gan)


def test_no_sync_covers_every_network(as_rank):
    with as_rank(0):
        model = SeparateDistributedDataParallel(make_gan())
        networks = model.module.generator, model.module.discriminator
        with model.no_sync():
            assert not any(n.require_backward_grad_sync for n in networks)
        assert all(n.require_backward_grad_sync for n in networks)
