"""Images resampled, differentiable twice with respect to them."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from mmamp.compat.torch import grid_sample_adjoint


def pixels_at(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Copy pixels, as they are.

    Args:
        images (Tensor): Of shape (N, C, H, W).
        rows (Tensor): int64, of a shape that expands to (N, P, Q): where each
            pixel of the result is from.
        columns (Tensor): Likewise.

    Returns:
        Tensor: Of shape (N, C, P, Q).
    """
    num, channels, _, width = images.shape
    index = (rows * width + columns).expand(num, -1, -1)
    places = index.flatten(1)[:, None].expand(-1, channels, -1)
    pixels = images.flatten(2).gather(2, places)
    return pixels.view(num, channels, *index.shape[1:])


def bilinear(images: Tensor, grid: Tensor) -> Tensor:
    """Sample images between their pixels, and zeros outside.

    ``torch.nn.functional.grid_sample`` has a second derivative in new releases
    of torch alone (2.13 has one, 2.6 has none). This is linear in the images,
    so that its derivative is its adjoint, whose derivative is this again; the
    grid gets no gradient. Where algorithms have to be deterministic, which
    the adjoint is not on all devices, pixels are gathered instead.

    Args:
        images (Tensor): Of shape (N, C, H, W).
        grid (Tensor): x and y of each sample, of shape (N, P, Q, 2): -1 is
            the centre of the first pixel, 1 that of the last one.

    Returns:
        Tensor: Of shape (N, C, P, Q).
    """
    if torch.are_deterministic_algorithms_enabled():
        return _gathered(images, grid)
    sampled: Tensor = _Bilinear.apply(images, grid)  # type: ignore[no-untyped-call]
    return sampled


def _gathered(images: Tensor, grid: Tensor) -> Tensor:
    """Sample images by four times as many pixels."""
    height, width = images.shape[2:]
    x, y = (
        (grid[..., i] + 1) * ((size - 1) / 2)
        for i, size in enumerate((width, height))
    )
    sampled = images.new_zeros(())
    for row, of_row in _neighbours(y, height):
        for column, of_column in _neighbours(x, width):
            weight = (of_row * of_column)[:, None]
            sampled = sampled + pixels_at(images, row, column) * weight
    return sampled


def _neighbours(positions: Tensor, size: int) -> list[tuple[Tensor, Tensor]]:
    """Return the pixels before and after positions, and their weights."""
    found = []
    for pixel in (positions.floor(), positions.floor() + 1):
        is_inside = (pixel >= 0) & (pixel < size)
        weight = (1 - (positions - pixel).abs()) * is_inside
        found.append((pixel.clamp(0, size - 1).long(), weight))
    return found


class _Bilinear(Function):
    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:
        ctx.save_for_backward(grid)
        ctx.shape = images.shape
        return F.grid_sample(images, grid, align_corners=True)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (grid,) = ctx.saved_tensors
        return _Adjoint.apply(gradient, grid, ctx.shape), None  # type: ignore[no-untyped-call]


class _Adjoint(Function):
    @staticmethod
    def forward(
        ctx: Any, gradient: Tensor, grid: Tensor, shape: torch.Size
    ) -> Tensor:
        ctx.save_for_backward(grid)
        return grid_sample_adjoint(gradient, grid, shape)

    @staticmethod
    def backward(ctx: Any, images: Tensor) -> tuple[Tensor, None, None]:
        (grid,) = ctx.saved_tensors
        return bilinear(images, grid), None, None
