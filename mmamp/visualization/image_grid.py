"""Many images in one."""

import numpy as np


def image_grid(
    images: np.ndarray, columns: int = 8, gap: int = 2
) -> np.ndarray:
    """Lay images out in rows.

    Args:
        images (np.ndarray): uint8 of shape (N, C, H, W), C of 1 or 3.
        columns (int): Images in a row. Defaults to 8.
        gap (int): Black pixels between images. Defaults to 2.

    Returns:
        np.ndarray: uint8 of shape (H', W', 3), RGB.

    Raises:
        ValueError: If the images are of another shape.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not len(images):
        raise ValueError(
            'images must be of shape (N, 1 or 3, H, W), '
            f'but got {images.shape}'
        )
    num, _, height, width = images.shape
    columns = min(columns, num)
    rows = -(-num // columns)
    grid = np.zeros(
        (rows * (height + gap) + gap, columns * (width + gap) + gap, 3),
        np.uint8,
    )
    for i, image in enumerate(images):
        top = gap + i // columns * (height + gap)
        left = gap + i % columns * (width + gap)
        # A grey image spreads over the three channels.
        grid[top : top + height, left : left + width] = image.transpose(
            1, 2, 0
        )
    return grid
