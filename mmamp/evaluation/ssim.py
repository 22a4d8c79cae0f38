"""Structural similarity."""

from typing import Any

from torch import Tensor

from mmamp.registry import METRICS

from .images import in_float64, library
from .restoration import RestorationMetric

WINDOW = 11
"""Pixels across the Gaussian window, of standard deviation 1.5."""


@METRICS.register_module()
class SSIM(RestorationMetric):
    """Structural similarity of restored images.

    Wang, Bovik, Sheikh and Simoncelli, "Image Quality Assessment: From Error
    Visibility to Structural Similarity", IEEE Transactions on Image
    Processing, 2004, with its 11x11 Gaussian window and constants, by
    torchmetrics, where windows that lie wholly in the image count; the mean
    over channels, and then over the set. Reported as ``SSIM``.

    Args:
        crop_border (int): Pixels that are left out at each side. Defaults to
            0.
        convert_to (str, optional): ``'Y'`` compares the luminance alone, in
            the range of ITU-R BT.601 (16 to 235). Defaults to None: all
            channels as they are.
        real_key (str): Where the wanted images are: a key of
            ``data_samples``, or ``'inputs'``. Defaults to ``'gt_img'``.
        **kwargs: Arguments of MMEngine's ``BaseMetric``.

    Raises:
        ImportError: If torchmetrics is not installed.
        ValueError: If an argument is not valid, or images are smaller than 11
            pixels.

    Examples:
        >>> val_evaluator = dict(
        ...     type='mmamp.SSIM', crop_border=4, convert_to='Y')
    """

    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """Compute the similarity of each image."""
        functional = library('torchmetrics.functional.image', self)
        return structural_similarity(functional, fake, real)


def structural_similarity(
    functional: Any, one: Tensor, other: Tensor
) -> Tensor:
    """Compute the similarity of pairs of images.

    Args:
        functional (ModuleType): ``torchmetrics.functional.image``.
        one (Tensor): float in [0, 255], of shape (N, C, H, W).
        other (Tensor): The same.

    Returns:
        Tensor: float64, of shape (N, ).

    Raises:
        ValueError: If the images are smaller than a window.
    """
    check_window(one, 'SSIM')
    of_pixels: Tensor
    _, of_pixels = functional.structural_similarity_index_measure(
        in_float64(one),
        in_float64(other),
        data_range=255.0,
        reduction='none',
        return_full_image=True,
    )
    # torchmetrics mirrors the image beyond its borders; Wang et al. do not.
    edge = WINDOW // 2
    return of_pixels[:, :, edge:-edge, edge:-edge].mean((1, 2, 3))


def check_window(images: Tensor, name: str) -> None:
    """Refuse images that are smaller than a window.

    Args:
        images (Tensor): Of shape (N, C, H, W).
        name (str): The metric that cannot take them.

    Raises:
        ValueError: If they are.
    """
    height, width = images.shape[2:]
    if min(height, width) < WINDOW:
        raise ValueError(
            f'{name} needs images of at least {WINDOW}x{WINDOW} pixels, '
            f'but got {height}x{width}'
        )
