import copy
import pickle

import pytest
import torch
from torch import nn

from mmamp import AmpOptimWrapper
from mmamp.logging.once import LogOnce
from mmamp.precision.autocast import autocast
from mmamp.precision.islands import islands
from mmamp.precision.penalised_norms import watch_penalties

NORMS = [
    nn.BatchNorm2d,
    nn.InstanceNorm2d,
    lambda channels: nn.BatchNorm2d(channels, affine=False),
]


def critic(norm, std=0.002):
    """As SinGAN's: small weights, and a norm behind each convolution."""
    torch.manual_seed(0)
    layers = []
    channels = 3
    for _ in range(3):
        layers += [nn.Conv2d(channels, 16, 3), norm(16), nn.LeakyReLU(0.2)]
        channels = 16
    net = nn.Sequential(*layers, nn.Conv2d(channels, 1, 3))
    for module in net:
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0, std)
    return net


def penalty(net):
    """WGAN-GP's, as code that knows nothing of mmamp has it."""
    x = torch.rand(2, 3, 16, 16).requires_grad_()
    out = net(x)
    (grad,) = torch.autograd.grad(
        out, x, torch.ones_like(out), create_graph=True
    )
    return ((grad.norm(2, dim=1) - 1) ** 2).mean()


def critic_steps(norm, num=4, dtype='float16'):
    net = critic(norm)
    wrapper = AmpOptimWrapper(
        torch.optim.SGD(net.parameters(), lr=1e-3), dtype=dtype
    )
    for _ in range(num):
        with wrapper.optim_context(net):
            loss = penalty(net)
        wrapper.update_params(loss)
    return net, wrapper


@pytest.mark.parametrize('norm', NORMS)
def test_a_penalty_costs_one_window(norm, capfd):
    net, wrapper = critic_steps(norm)
    # Whose second derivative float16 does not have.
    assert wrapper.skipped_steps == 1
    assert all(p.isfinite().all() for p in net.parameters())
    text = ''.join(capfd.readouterr())
    assert text.count('A penalty differentiates a gradient') == 1
    assert "'7' (" in text  # the first that a backward pass meets
    for module in net:
        is_norm = isinstance(module, nn.modules.batchnorm._NormBase)
        found = [x.dtype for x in islands(module)]
        assert found == [torch.float32] * is_norm


@pytest.mark.parametrize('dtype', ['bfloat16', 'float32'])
def test_only_float16_is_watched(dtype):
    net, wrapper = critic_steps(nn.BatchNorm2d, dtype=dtype)
    assert not wrapper.skipped_steps
    assert not any(islands(module) for module in net)


def test_without_a_penalty_nothing_changes():
    net = critic(nn.BatchNorm2d, std=0.02)
    plain = copy.deepcopy(net)
    watch_penalties(net, LogOnce())
    watch_penalties(net, LogOnce())
    x = torch.rand(2, 3, 16, 16)
    grads = []
    for model in (net, plain):
        with autocast('cpu', torch.float16):
            loss = model(x).float().square().mean()
        loss.backward()
        grads.append([p.grad for p in model.parameters()])
    torch.testing.assert_close(*grads, rtol=0, atol=0)
    for module in net:
        found = islands(module)
        assert len(found) == isinstance(module, nn.BatchNorm2d)
        assert all(x.dtype is None for x in found)
    pickle.dumps(copy.deepcopy(net))


def test_a_norm_with_a_precision_of_its_own_is_left_alone():
    net = critic(nn.BatchNorm2d)
    watch_penalties(net, LogOnce())
    for module in net:
        for island in islands(module):
            island.dtype = torch.bfloat16
    with autocast('cpu', torch.float16):
        loss = penalty(net)
    loss.float().backward()
    assert {x.dtype for m in net for x in islands(m)} == {torch.bfloat16}
