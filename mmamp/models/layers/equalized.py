"""Layers with equalised learning rate, and the activation that goes with."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .fir import FIR, Downsample


def activate(x: Tensor, bias: Tensor, clamp: float | None = None) -> Tensor:
    """Apply a bias, a leaky ReLU that keeps the variance, and a clamp.

    Args:
        x (Tensor): Of shape (N, C, ...).
        bias (Tensor): Of shape (C, ).
        clamp (float, optional): Bound of the magnitude. Defaults to None.

    Returns:
        Tensor: Of the shape and dtype of ``x``.
    """
    return clamped(leaky_relu(biased(x, bias)), clamp)


def leaky_relu(x: Tensor) -> Tensor:
    """Apply a leaky ReLU of slope 0.2 that keeps the mean square."""
    return F.leaky_relu(x, 0.2) * math.sqrt(2)


def biased(x: Tensor, bias: Tensor) -> Tensor:
    """Add a bias for each channel, in the dtype of ``x``."""
    return x + bias.to(x.dtype).view(-1, *[1] * (x.dim() - 2))


def clamped(x: Tensor, clamp: float | None) -> Tensor:
    """Clamp to ``[-clamp, clamp]``; None leaves it as it is."""
    return x if clamp is None else x.clamp(-clamp, clamp)


def at_least_float32(x: Tensor) -> Tensor:
    """Cast to float32, unless it is float64."""
    return x if x.dtype is torch.float64 else x.float()


class EqualizedLinear(nn.Module):
    """Linear layer whose weight has unit variance and is scaled at run time.

    Karras et al., "Progressive Growing of GANs for Improved Quality,
    Stability, and Variation", ICLR 2018, section 4.1.

    Args:
        in_features (int): Inputs.
        out_features (int): Outputs.
        bias_init (float): What the biases start at. Defaults to 0.
        lr_mult (float): How much slower it learns than others. Defaults to 1.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias_init: float = 0.0,
        lr_mult: float = 1.0,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(out_features, in_features) / lr_mult
        )
        self.bias = nn.Parameter(
            torch.full((out_features,), bias_init / lr_mult)
        )
        self.gain = lr_mult / math.sqrt(in_features)
        self.lr_mult = lr_mult

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, D) to (N, D')."""
        weight = (self.weight * self.gain).to(x.dtype)
        return F.linear(x, weight, (self.bias * self.lr_mult).to(x.dtype))


class EqualizedConv2d(nn.Module):
    """Convolution with equalised learning rate and no bias.

    Args:
        in_channels (int): Inputs.
        out_channels (int): Outputs.
        kernel_size (int): 1 or 3.
        downsample (bool): Whether it halves the resolution, after the filter.
            Defaults to False.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        downsample: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(
            torch.randn(out_channels, in_channels, kernel_size, kernel_size)
        )
        self.gain = 1 / math.sqrt(in_channels * kernel_size**2)
        self.padding = kernel_size // 2
        self.stride = 1
        self.filter: nn.Module = nn.Identity()
        if downsample and kernel_size == 1:
            # Of pixels that are left out nothing need be computed.
            self.filter = Downsample()
        elif downsample:
            self.filter = FIR(padding=2)
            self.padding, self.stride = 0, 2

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H, W), or half of H and W."""
        x = self.filter(x)
        weight = (self.weight * self.gain).to(x.dtype)
        return F.conv2d(x, weight, stride=self.stride, padding=self.padding)
