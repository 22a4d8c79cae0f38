"""Images under affine maps, differentiable twice with respect to them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .sampling import bilinear, pixels_at

_SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057),
    *(-0.048311742585633, 0.4910559419267466, 0.787641141030194),
    *(0.3379294217276218, -0.07263752278646252, -0.021060292512300564),
    *(0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
"""The low-pass filter of the least asymmetric wavelet with six vanishing
moments (Daubechies, "Ten Lectures on Wavelets", 1992, table 6.3)."""
_REACH = 3
"""Pixels on each side that half of the filter needs."""


class Warp(nn.Module):
    """Images under affine maps, filtered.

    Karras et al., "Training Generative Adversarial Networks with Limited
    Data", NeurIPS 2020, appendix B: twice the pixels, by an orthogonal
    low-pass filter; they are sampled bilinearly, and filtered again to the
    old number. Outside, a picture is its own reflection. The authors' code
    reflects it before the first filter, by margins that a device would have
    to be waited for; here the finer picture is reflected, which differs
    there by what the filter lacks of symmetry.
    """

    taps: Tensor

    def __init__(self) -> None:
        super().__init__()
        # The same in each network: no checkpoint needs it.
        self.register_buffer('taps', torch.tensor(_SYM6), persistent=False)

    def forward(self, images: Tensor, inverse: Tensor) -> Tensor:
        """Map images.

        Args:
            images (Tensor): Of shape (N, C, H, W); float32 or float64.
            inverse (Tensor): Of shape (N, 3, 3): from where a pixel of the
                result is to where it is taken from; x to the right and y
                down, in pixels from the middle of the picture.

        Returns:
            Tensor: Of the same shape and dtype.
        """
        num, channels, height, width = images.shape
        columns, rows = (
            _fine_positions(x, inverse.device) for x in (width, height)
        )
        x, y = _mapped(inverse, columns, rows)
        grid = torch.stack([_in_finer(x, width), _in_finer(y, height)], -1)
        finer = _with_margin(_with_margin(images, 2), 3)
        # Each channel by itself.
        finer = finer.flatten(0, 1)[:, None]
        finer = self._upsampled(self._upsampled(finer, 0), 1)
        sampled = bilinear(
            finer.unflatten(0, (num, channels))[:, :, 0],
            grid.to(images.dtype),
        )
        sampled = sampled.flatten(0, 1)[:, None]
        small = self._downsampled(self._downsampled(sampled, 0), 1)
        return small.view(images.shape)

    def _upsampled(self, images: Tensor, dim: int) -> Tensor:
        """Double the pixels, those alone that the margins were for."""
        return F.conv_transpose2d(
            images,
            self._filter(images, dim) * 2**0.5,
            stride=_along(2, 1, dim),
            padding=_along(len(self.taps) - 1, 0, dim),
        )

    def _downsampled(self, images: Tensor, dim: int) -> Tensor:
        taps = self._filter(images, dim) / 2**0.5
        return F.conv2d(images, taps, stride=_along(2, 1, dim))

    def _filter(self, images: Tensor, dim: int) -> Tensor:
        return self.taps.to(images.dtype).view(1, 1, *_along(-1, 1, dim))


def copied(images: Tensor, inverse: Tensor) -> Tensor:
    """Map images that pixels are only copied of: by flips, quarter turns, and
    translations by whole pixels.

    Args:
        images (Tensor): Of shape (N, C, H, W).
        inverse (Tensor): As :func:`warped` takes it.
    """
    height, width = images.shape[2:]
    x, y = _mapped(
        inverse,
        _centred(width, inverse.device),
        _centred(height, inverse.device),
    )
    columns = _reflect((x + (width - 1) / 2).round(), width)
    rows = _reflect((y + (height - 1) / 2).round(), height)
    return pixels_at(images, rows.long(), columns.long())


def _mapped(
    inverse: Tensor, columns: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor]:
    """Map the points of a grid; return their x and y, each (N, P, Q)."""
    points = inverse[..., None, None]
    x, y = (
        points[:, i, 0] * columns
        + points[:, i, 1] * rows[:, None]
        + points[:, i, 2]
        for i in range(2)
    )
    return x, y


def _centred(length: int, device: torch.device) -> Tensor:
    """Return where pixels are, from the middle."""
    return torch.arange(length, device=device) - (length - 1) / 2


def _fine_positions(length: int, device: torch.device) -> Tensor:
    """Return where the pixels of twice as many are, some on each side too."""
    steps = torch.arange(2 * length + 10, device=device)
    return (steps - length - 4) / 2


def _reflect(positions: Tensor, length: int) -> Tensor:
    """Bring positions into [0, length - 1], as between two mirrors."""
    last = length - 1
    return last - (positions.remainder(2 * last) - last).abs()


def _with_margin(images: Tensor, dim: int) -> Tensor:
    """Add reflected pixels at both ends of a dimension.

    The backward pass of ``reflect`` in ``torch.nn.functional.pad`` is not
    deterministic on all devices.
    """
    size = images.shape[dim]
    places = torch.arange(-_REACH, size + _REACH, device=images.device)
    return images.index_select(dim, _reflect(places, size))


def _in_finer(positions: Tensor, length: int) -> Tensor:
    """Return where pixels are among twice as many, which are [-1, 1]."""
    places = 2 * _reflect(positions + (length - 1) / 2, length)
    return places * (2 / (2 * length - 1)) - 1


def _along(this: int, other: int, dim: int) -> tuple[int, int]:
    """Return a number for a dimension, and another for the other one."""
    return (this, other) if dim == 0 else (other, this)
