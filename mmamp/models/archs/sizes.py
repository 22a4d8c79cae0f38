"""Sizes of images that networks are made for."""

from typing import Any


def num_doublings(image_size: Any) -> int:
    """How many times 4x4 doubles up to the image size.

    Args:
        image_size (int): Height and width.

    Raises:
        ValueError: If it is no power of 2 from 8 on.
    """
    if (
        not isinstance(image_size, int)
        or image_size < 8
        or image_size.bit_count() != 1
    ):
        raise ValueError(
            'image_size must be a power of 2 from 8 on, '
            f'but got {image_size!r}'
        )
    return image_size.bit_length() - 3
