"""Sizes of images that networks are made for."""

from typing import Any

from mmamp.utils.checks import check_power_of_2


def num_doublings(image_size: Any) -> int:
    """Return how many times 4x4 doubles up to the image size.

    Args:
        image_size (int): Height and width.

    Raises:
        ValueError: If it is no power of 2 from 8 on.
    """
    return check_power_of_2('image_size', image_size, low=8) - 2
