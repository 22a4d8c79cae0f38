"""Building blocks of StyleGAN2."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, cat, nn

from .equalized import (
    EqualizedConv2d,
    EqualizedLinear,
    activate,
    at_least_float32,
    biased,
    clamped,
)
from .fir import FIR

_TINY = 1e-8


class ConvLayer(nn.Module):
    """Convolution, bias, activation, clamp."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        downsample: bool = False,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.conv = EqualizedConv2d(
            in_channels, out_channels, kernel_size, downsample
        )
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.conv_clamp = conv_clamp

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H, W), or half of H and W."""
        return activate(self.conv(x), self.bias, self.conv_clamp)


class ResidualBlock(nn.Module):
    """Residual block of the discriminator; it halves the resolution."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.conv0 = ConvLayer(
            in_channels, in_channels, 3, conv_clamp=conv_clamp
        )
        self.conv1 = ConvLayer(
            in_channels,
            out_channels,
            3,
            downsample=True,
            conv_clamp=conv_clamp,
        )
        self.skip = EqualizedConv2d(
            in_channels, out_channels, 1, downsample=True
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, 2H, 2W) to (N, C', H, W)."""
        # The sum has the variance of its parts.
        x = (self.conv1(self.conv0(x)) + self.skip(x)) * math.sqrt(0.5)
        return x


class MinibatchStd(nn.Module):
    """Appends how much samples differ, as one more channel.

    Karras et al., ICLR 2018, section 3: the standard deviation within groups
    of samples, averaged over everything else.

    Args:
        group_size (int): Samples in a group; where it does not divide the
            batch, the largest smaller number that does. Defaults to 4.
    """

    def __init__(self, group_size: int = 4) -> None:
        super().__init__()
        self.group_size = group_size

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C + 1, H, W)."""
        num = len(x)
        size = next(
            g for g in range(min(self.group_size, num), 0, -1) if num % g == 0
        )
        # Squares of what float16 holds it does not hold.
        groups = at_least_float32(x).unflatten(0, (size, num // size))
        deviation = (groups.var(0, correction=0) + _TINY).sqrt()
        mean = deviation.mean((1, 2, 3)).to(x.dtype)
        channel = mean.repeat(size)[:, None, None, None]
        channel = channel.expand(-1, -1, *x.shape[2:])
        # One channel is in both formats so: the result is in that of `x`.
        channel = channel.contiguous(memory_format=torch.channels_last)
        return cat([x, channel], dim=1)


class ModulatedConv2d(nn.Module):
    """Convolution whose weights a style scales (paper, section 2.2).

    The style multiplies the input and the demodulation the output, which is
    the same as on the weights and needs no kernel of its own for each sample.
    Styles, and the factors of the demodulation, are computed in float32.

    Args:
        in_channels (int): Inputs.
        out_channels (int): Outputs.
        kernel_size (int): 1 or 3.
        style_size (int): Length of the latent ``w``.
        demodulate (bool): Whether outputs get unit variance. Defaults to
            True.
        upsample (bool): Whether it doubles the resolution, followed by the
            filter. Defaults to False.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_size: int,
        demodulate: bool = True,
        upsample: bool = False,
    ) -> None:
        super().__init__()
        self.affine = EqualizedLinear(style_size, in_channels, bias_init=1.0)
        self.weight = nn.Parameter(
            torch.randn(out_channels, in_channels, kernel_size, kernel_size)
        )
        self.gain = 1 / math.sqrt(in_channels * kernel_size**2)
        self.padding = kernel_size // 2
        self.demodulate = demodulate
        self.filter = FIR(gain=4.0) if upsample else None

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map (N, C, H, W), styles (N, D) to (N, C', H, W), or twice that."""
        with torch.autocast(x.device.type, enabled=False):
            style = self.affine(at_least_float32(w))
            weight = at_least_float32(self.weight)
            if self.demodulate:
                # The factor undoes any scale of the two. With largest
                # elements of 1 nothing leaves the range of float16 on the
                # way, as in StyleGAN2-ADA (Karras et al., NeurIPS 2020).
                style = style / _largest(style)
                weight = weight / _largest(weight)
            weight = weight * self.gain
            factor = self._factor(style, weight) if self.demodulate else None
        x = self._convolve(x * _per_channel(style, x), weight)
        return x if factor is None else x * _per_channel(factor, x)

    @staticmethod
    def _factor(style: Tensor, weight: Tensor) -> Tensor:
        """Return one over the norm of each output's weights (equation 3)."""
        energy = weight.square().sum((2, 3))
        return (style.square() @ energy.T + _TINY).rsqrt()

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        weight = weight.to(x.dtype)
        if self.filter is None:
            return F.conv2d(x, weight, padding=self.padding)
        x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)
        x = self.filter(x)
        return x


def _largest(x: Tensor) -> Tensor:
    """Return the largest magnitude of each sample, or of an output's weights.

    Detached: what is divided by it has a scale that does not matter.
    """
    dims = tuple(range(1, x.dim()))
    return x.detach().abs().amax(dims, keepdim=True).clamp(min=_TINY)


def _per_channel(scale: Tensor, x: Tensor) -> Tensor:
    return scale.to(x.dtype)[:, :, None, None]


class StyledLayer(nn.Module):
    """Modulated convolution, noise, bias, activation, clamp.

    Args:
        in_channels (int): Inputs.
        out_channels (int): Outputs.
        size (int): Height and width of the output.
        style_size (int): Length of the latent ``w``.
        upsample (bool): Whether the input has half that size. Defaults to
            False.
        conv_clamp (float, optional): Bound of the outputs. Defaults to None.
    """

    noise: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int,
        style_size: int,
        upsample: bool = False,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(
            in_channels, out_channels, 3, style_size, upsample=upsample
        )
        self.noise_strength = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.conv_clamp = conv_clamp
        self.register_buffer('noise', torch.randn(size, size))

    def forward(
        self, x: Tensor, w: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Map (N, C, H, W), styles (N, D) to (N, C', H, W), or twice that."""
        x = self.conv(x, w)
        noise = self._noise(x, generator) * self.noise_strength
        return activate(x + noise.to(x.dtype), self.bias, self.conv_clamp)

    def _noise(self, x: Tensor, generator: torch.Generator | None) -> Tensor:
        """Draw noise for each sample in training; else return the same."""
        if not self.training:
            return self.noise
        return torch.randn(
            len(x), 1, *x.shape[2:], generator=generator, device=x.device
        )


class ToRGB(nn.Module):
    """What a resolution adds to the image: no demodulation, no activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        style_size: int,
        conv_clamp: float | None = None,
    ) -> None:
        super().__init__()
        self.conv = ModulatedConv2d(
            in_channels, out_channels, 1, style_size, demodulate=False
        )
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.conv_clamp = conv_clamp

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Map (N, C, H, W) and styles (N, D) to an image of the same size."""
        return clamped(biased(self.conv(x, w), self.bias), self.conv_clamp)
