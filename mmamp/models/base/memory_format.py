"""How images and kernels lie in memory."""

import torch
from torch import Tensor, nn


def as_kernels(x: Tensor, network: nn.Module) -> Tensor:
    """Put features into the memory format of a network's kernels.

    For what comes out of a layer that knows none, such as a linear one: it is
    contiguous, and so would all be up to the next convolution.

    Args:
        x (Tensor): Of shape (N, C, H, W).
        network (nn.Module): Of the layers that they go through next.
    """
    for param in network.parameters():
        # A kernel of one pixel or one channel is in both formats.
        if param.dim() == 4 and not param.is_contiguous():
            return as_features(x, param)
    return x


def as_features(x: Tensor, other: Tensor) -> Tensor:
    """Put features into the memory format that others have.

    Args:
        x (Tensor): Of shape (N, C, H, W).
        other (Tensor): Of four dimensions.
    """
    return x.contiguous(
        memory_format=torch.contiguous_format
        if other.is_contiguous()
        else torch.channels_last
    )
