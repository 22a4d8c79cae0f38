"""Maps of the plane as homogeneous matrices (N, 3, 3), one a sample."""

from collections.abc import Sequence

import torch
from torch import Tensor


def translation(x: Tensor, y: Tensor) -> Tensor:
    """Move points by x and y, each of shape (N, )."""
    return _matrix([[1, 0, x], [0, 1, y], [0, 0, 1]], like=x)


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Multiply coordinates by x and y, each of shape (N, )."""
    return _matrix([[x, 0, 0], [0, y, 0], [0, 0, 1]], like=x)


def rotation(cos: Tensor, sin: Tensor) -> Tensor:
    """Turn by angles whose cosines and sines are given, each (N, )."""
    return _matrix([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], like=cos)


def product(first: Tensor, *others: Tensor) -> Tensor:
    """Multiply matrices, exactly where ``@`` might take TF32.

    Args:
        first (Tensor): Of shape (N, 3, 3).
        *others (Tensor): Likewise.
    """
    for other in others:
        first = (first[..., None] * other[:, None]).sum(2)
    return first


def _matrix(rows: Sequence[Sequence[Tensor | float]], like: Tensor) -> Tensor:
    entries = [
        x if isinstance(x, Tensor) else torch.full_like(like, x)
        for row in rows
        for x in row
    ]
    return torch.stack(entries, -1).view(-1, len(rows), len(rows))
