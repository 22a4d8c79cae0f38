"""How networks are called, and their gradients."""

from functools import partial

import torch
from torch import Tensor, nn

from .cases import Call, plainly

INPUT = ''
"""What the input is called among gradients."""


def own_call(model: nn.Module, name: str) -> Call:
    """Return how a network of ours is called, as its model's samples are.

    Args:
        model (BaseGAN): The model, which may truncate.
        name (str): Of the network.
    """
    psi = getattr(model, 'psi', None) if name == 'generator' else None
    return plainly if psi is None else partial(plainly, truncation=psi)


def gradients(
    network: nn.Module, output: Tensor, first: Tensor
) -> dict[str, Tensor]:
    """Return gradients of a sum of an output, weighted at random.

    Args:
        network (nn.Module): Whose parameters they are of.
        output (Tensor): What it made.
        first (Tensor): Of what; its gradient is called :data:`INPUT`.
    """
    random = torch.Generator().manual_seed(1)
    network.zero_grad()
    (output * torch.randn(output.shape, generator=random)).sum().backward()
    found = {
        name: x.grad.clone()
        for name, x in network.named_parameters()
        if x.grad is not None
    }
    assert first.grad is not None
    return {**found, INPUT: first.grad}
