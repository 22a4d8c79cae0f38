"""Images under affine maps, differentiable twice with respect to them."""

from functools import lru_cache

import torch
from torch import Tensor

from .sampling import bilinear, pixels_at

_SYM6 = (
    *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057),
    *(-0.048311742585633, 0.4910559419267466, 0.787641141030194),
    *(0.3379294217276218, -0.07263752278646252, -0.021060292512300564),
    *(0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
)
"""The low-pass filter of the least asymmetric wavelet with six vanishing
moments (Daubechies, "Ten Lectures on Wavelets", 1992, table 6.3)."""
_MARGINS = len(_SYM6) - 2
"""Pixels of the finer picture that the second filter needs beyond it."""


def warped(images: Tensor, inverse: Tensor) -> Tensor:
    """Map images, filtered.

    Karras et al., "Training Generative Adversarial Networks with Limited
    Data", NeurIPS 2020, appendix B: twice the pixels, by an orthogonal
    low-pass filter; they are sampled bilinearly, and filtered again to the
    old number. Outside, a picture is its own reflection. The authors' code
    reflects it before the first filter, by margins that a device would have
    to be waited for; here the finer picture is reflected, which differs
    there by what the filter lacks of symmetry.

    Args:
        images (Tensor): Of shape (N, C, H, W); float32 or float64.
        inverse (Tensor): Of shape (N, 3, 3): from where a pixel of the
            result is to where it is taken from; x to the right and y down, in
            pixels from the middle of the picture.

    Returns:
        Tensor: Of the same shape and dtype.
    """
    height, width = images.shape[2:]
    columns, rows = (
        _fine_positions(x, inverse.device) for x in (width, height)
    )
    x, y = _mapped(inverse, columns, rows)
    grid = torch.stack([_in_finer(x, width), _in_finer(y, height)], -1)
    finer_rows, coarser_rows = _filters(height, images.device, images.dtype)
    finer_columns, coarser_columns = _filters(
        width, images.device, images.dtype
    )
    finer = finer_rows @ images @ finer_columns.T
    sampled = bilinear(finer, grid.to(images.dtype))
    return coarser_rows @ sampled @ coarser_columns.T


@lru_cache
def _filters(
    length: int, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """Return what doubles the pixels of a dimension, and what halves them.

    Returns:
        tuple[Tensor, Tensor]: Of shape (2 * length, length), which reflects
        the picture for the first and the last ones, and of shape (length,
        2 * length + 10), for as many as :func:`_fine_positions` says.
    """
    finer = torch.zeros(2 * length, length, dtype=torch.float64)
    coarser = torch.zeros(length, 2 * length + _MARGINS, dtype=torch.float64)
    for tap, weight in enumerate(_SYM6):
        of_finer = torch.arange((tap + 1) % 2, 2 * length, 2)
        pixels = _reflect((of_finer + 5 - tap) // 2, length)
        finer[of_finer, pixels] += weight * 2**0.5
        pixels = torch.arange(length)
        coarser[pixels, 2 * pixels + tap] = weight / 2**0.5
    return finer.to(device, dtype), coarser.to(device, dtype)


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
    steps = torch.arange(2 * length + _MARGINS, device=device)
    return (steps - length - _MARGINS / 2 + 1) / 2


def _reflect(positions: Tensor, length: int) -> Tensor:
    """Bring positions into [0, length - 1], as between two mirrors."""
    last = length - 1
    return last - (positions.remainder(2 * last) - last).abs()


def _in_finer(positions: Tensor, length: int) -> Tensor:
    """Return where pixels are among twice as many, which are [-1, 1]."""
    places = 2 * _reflect(positions + (length - 1) / 2, length)
    return places * (2 / (2 * length - 1)) - 1
