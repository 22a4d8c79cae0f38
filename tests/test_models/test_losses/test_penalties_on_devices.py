"""Penalties in low precision against float32, on the CPU and on a GPU."""

import copy

import pytest
import torch
import torch.nn.functional as F
from devices import each_device_slow, each_dtype, exact_float32, on_gpu, waits
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.models import (
    DCGANDiscriminator,
    StyleGAN2Discriminator,
    StyleGAN2Generator,
)
from mmamp.models.losses import DRAGAN, R1, R2, WGANGP, PathLength
from mmamp.randomness.samples import SampleRandom

BOUNDS = dict(
    float32=(1 - 1e-6, 1e-4), float16=(0.999, 0.01), bfloat16=(0.99, 0.05)
)
"""Cosine and relative norm of the parameter gradients, as promised."""
PENALTIES = dict(R1=R1, R2=R2, WGANGP=WGANGP, DRAGAN=DRAGAN)


def numbers(device):
    return SampleRandom(device, 8, 0, 0)


def images(device, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(8, 3, 32, 32, generator=generator).to(device) * 2 - 1


def discriminator(kind):
    torch.manual_seed(0)
    if kind == 'stylegan2':
        return StyleGAN2Discriminator(32, channel_base=512, channel_max=32)
    network = DCGANDiscriminator(32, in_channels=3, base_channels=8)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if kind == 'dcgan' and isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    return network


def gradient(network, dtype, loss_of, layout=torch.contiguous_format):
    """All parameter gradients of a penalty, unscaled, on the CPU."""
    network = copy.deepcopy(network).to(memory_format=layout)
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(network.parameters(), lr=0.1), dtype=dtype
    )
    with wrapper.optim_context(network):
        loss = loss_of(network, wrapper.grad)
    wrapper.backward(loss)
    if wrapper.loss_scaler.is_enabled():
        wrapper.loss_scaler.unscale_(wrapper.optimizer)
    found = [
        torch.zeros_like(p) if p.grad is None else p.grad
        for p in network.parameters()
    ]
    return torch.cat([g.flatten() for g in found]).double().cpu()


def assert_agrees(found, expected, dtype):
    low_cosine, max_error = BOUNDS[dtype]
    assert F.cosine_similarity(found, expected, dim=0) >= low_cosine
    assert abs(found.norm() / expected.norm() - 1) <= max_error


@each_device_slow
@each_dtype
@pytest.mark.parametrize(
    'layout', [torch.contiguous_format, torch.channels_last]
)
@pytest.mark.parametrize('kind', ['dcgan', 'with BatchNorm', 'stylegan2'])
@pytest.mark.parametrize('name', PENALTIES)
def test_of_a_discriminator(device, dtype, layout, kind, name):
    """What float32 on the CPU comes to is what all others have to."""
    network = discriminator(kind)

    def penalty_on(place):
        def penalty_of(network, grad):
            return PENALTIES[name]()(
                network,
                (images(place, 1),),
                (images(place, 2),),
                grad,
                numbers(place),
            )

        return penalty_of

    with exact_float32():
        expected = gradient(network, 'float32', penalty_on('cpu'))
        found = gradient(network.to(device), dtype, penalty_on(device), layout)
    assert_agrees(found, expected, dtype)


@each_device_slow
@each_dtype
def test_path_length(device, dtype):
    torch.manual_seed(0)
    network = StyleGAN2Generator(
        16, noise_size=8, style_size=16, channel_base=256, channel_max=16
    )
    network.eval()  # the same noise in all precisions
    noise = torch.randn(8, 8)

    def penalty_on(place):
        def penalty_of(network, grad):
            penalty = PathLength().to(place)
            inputs = noise.to(place)
            with penalty.precision(inputs, network):
                latents = network.mapping(inputs)
            return penalty(network.synthesis, latents, grad, numbers(place))

        return penalty_of

    with exact_float32():
        expected = gradient(network, 'float32', penalty_on('cpu'))
        found = gradient(network.to(device), dtype, penalty_on(device))
    assert_agrees(found, expected, dtype)


@pytest.mark.parametrize('name', PENALTIES)
@pytest.mark.parametrize('dtype', ['float32', 'float16', 'bfloat16'])
class TestWaits:
    pytestmark = on_gpu

    def test_none_for_a_penalty(self, name, dtype):
        network = discriminator('stylegan2').cuda()
        wrapper = AmpOptimWrapper(
            torch.optim.Adam(network.parameters(), fused=True), dtype=dtype
        )
        real, fake = (images('cuda', i) for i in (1, 2))

        def step():
            with wrapper.optim_context(network):
                loss = PENALTIES[name]()(
                    network, (real,), (fake,), wrapper.grad, numbers('cuda')
                )
            wrapper.update_params(loss)

        for _ in range(2):
            step()
        with waits() as found:
            step()
        assert not found
