"""Resampling by a low-pass filter, differentiable twice in every dtype.

The filter [1, 3, 3, 1] of StyleGAN2 (Karras et al., "Analyzing and Improving
the Image Quality of StyleGAN", CVPR 2020), in both directions of the image,
as ordinary depthwise convolutions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_TAPS = (1.0, 3.0, 3.0, 1.0)


class FIR(nn.Module):
    """The filter itself: (N, C, H, W) to as many channels.

    It works in the dtype of its input, whatever autocast says, so that an
    image that is summed up in float32 stays in it.

    Args:
        gain (float): What the filter is multiplied by. Defaults to 1.
        stride (int): Keeps each ``stride``-th pixel. Defaults to 1.
        padding (int): Zeros on each side. Defaults to 1.
    """

    kernel: Tensor

    def __init__(
        self, gain: float = 1.0, stride: int = 1, padding: int = 1
    ) -> None:
        super().__init__()
        self.stride = stride
        self.padding = padding
        taps = torch.tensor(_TAPS)
        taps = taps / taps.sum()
        # Not learnt, and the same in each network: no checkpoint needs it.
        self.register_buffer(
            'kernel', torch.outer(taps, taps) * gain, persistent=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """Filter images."""
        with torch.autocast(x.device.type, enabled=False):
            return self._resample(x, self._depthwise(x))

    def _depthwise(self, x: Tensor) -> Tensor:
        """Return the filter once for each channel."""
        kernel = self.kernel.to(x.dtype)
        return kernel.expand(x.shape[1], 1, -1, -1)

    def _resample(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv2d(
            x,
            weight,
            stride=self.stride,
            padding=self.padding,
            groups=x.shape[1],
        )


class Downsample(FIR):
    """(N, C, 2H, 2W) to (N, C, H, W)."""

    def __init__(self) -> None:
        super().__init__(stride=2)


class Upsample(FIR):
    """(N, C, H, W) to (N, C, 2H, 2W)."""

    def __init__(self) -> None:
        # Three of four pixels that the filter meets are zeros.
        super().__init__(gain=4.0, stride=2)

    def _resample(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.conv_transpose2d(
            x,
            weight,
            stride=self.stride,
            padding=self.padding,
            groups=x.shape[1],
        )
