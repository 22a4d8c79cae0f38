"""Several grids beside each other, each under its name."""

from collections.abc import Mapping

import cv2
import numpy as np
from torch import Tensor

from .image_grid import image_grid

_CAPTION = 16  # pixels
_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.4


def panels_image(
    panels: Mapping[str, Tensor], columns: int = 8, gap: int = 8
) -> np.ndarray:
    """Lay out pictures of several kinds, one grid a kind.

    Args:
        panels (Mapping[str, Tensor]): uint8 images of shape (N, C, H, W) by
            what they are; each kind has the same N, sizes may differ: smaller
            ones are enlarged, pixel by pixel where the factor is whole.
        columns (int): Images in a row of each grid. Defaults to 8.
        gap (int): Black pixels between grids. Defaults to 8.

    Returns:
        np.ndarray: uint8 of shape (H', W', 3), RGB.

    Raises:
        ValueError: If there is no panel.
    """
    if not panels:
        raise ValueError('panels must hold one kind of pictures at least')
    arrays = {name: x.cpu().numpy() for name, x in panels.items()}
    size = max(x.shape[-2:] for x in arrays.values())
    grids = [
        _captioned(name, image_grid(_resized(x, size), columns))
        for name, x in arrays.items()
    ]
    between = np.zeros((grids[0].shape[0], gap, 3), np.uint8)
    parts = [part for grid in grids for part in (between, grid)]
    return np.concatenate(parts[1:], axis=1)


def _resized(images: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    if images.shape[-2:] == tuple(size):
        return images
    large = [
        cv2.resize(
            image.transpose(1, 2, 0),
            size[::-1],
            interpolation=cv2.INTER_NEAREST,
        ).reshape(*size, -1)
        for image in images
    ]
    result: np.ndarray = np.stack(large).transpose(0, 3, 1, 2)
    return result


def _captioned(name: str, grid: np.ndarray) -> np.ndarray:
    (width, _), _ = cv2.getTextSize(name, _FONT, _SCALE, 1)
    # A narrow grid gets as wide as its name.
    missing = max(width + 4 - grid.shape[1], 0)
    grid = np.pad(grid, ((_CAPTION, 0), (0, missing), (0, 0)))
    place, white = (2, _CAPTION - 4), (255, 255, 255)
    cv2.putText(grid, name, place, _FONT, _SCALE, white, 1, cv2.LINE_AA)
    return grid
