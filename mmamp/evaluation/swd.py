"""Sliced Wasserstein distance on patches of a Laplacian pyramid."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmamp.registry import METRICS
from mmamp.utils.checks import check_int

from .images import fake_images, full_precision, places_of, real_images

PATCH = 7


@METRICS.register_module()
class SWD(BaseMetric):
    """Sliced Wasserstein distance between real and generated images.

    Karras, Aila, Laine and Lehtinen, "Progressive Growing of GANs for Improved
    Quality, Stability, and Variation", ICLR 2018, section 5, with the settings
    of their code: each image becomes a Laplacian pyramid, whose levels halve
    while they are at least 16 pixels wide; from each level 7x7 patches are
    taken at random places, normalised by mean and standard deviation of each
    channel over the set, and compared along random directions.

    Reported, times 1000, as ``SWD/avg`` and for each level by its size, such
    as ``SWD/32`` and ``SWD/16``. The same images and seed give the same
    values, on any number of ranks.

    Args:
        num_patches (int): Patches from each level of an image; some 25 kB a
            level and channel of an image are kept for 128. Defaults to 128.
        num_repeats (int): How often directions are drawn. Defaults to 4.
        num_directions (int): Directions drawn at a time. Defaults to 128.
        real_key (str): Where the real images are: ``'inputs'``, or a key of
            ``data_samples`` such as ``'gt_img'``. Defaults to ``'inputs'``.
        seed (int): Of places and directions. Defaults to 0.
        **kwargs: Arguments of MMEngine's ``BaseMetric``.

    Raises:
        ValueError: If a number is not positive, or images are smaller than 16
            pixels.

    Examples:
        >>> val_evaluator = dict(type='mmamp.SWD', num_patches=16)
    """

    default_prefix = 'SWD'

    def __init__(
        self,
        num_patches: int = 128,
        num_repeats: int = 4,
        num_directions: int = 128,
        real_key: str = 'inputs',
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_patches = check_int('num_patches', num_patches)
        self.num_repeats = check_int('num_repeats', num_repeats)
        self.num_directions = check_int('num_directions', num_directions)
        self.real_key = real_key
        self.seed = check_int('seed', seed, low=0)

    def process(
        self, data_batch: Any, data_samples: Sequence[dict[str, Any]]
    ) -> None:
        """Take patches from the images of a batch.

        Args:
            data_batch (dict): With the real images.
            data_samples (Sequence[dict]): With ``fake_img``, uint8 of shape
                (C, H, W), one an image.
        """
        fake = fake_images(data_samples)
        real = real_images(data_batch, self.real_key, like=fake)
        places = places_of(len(fake), len(self.results))
        # Image by image the same places in both, so that equal sets are at
        # distance 0. Half precision, whose rounding is far below that of
        # pixels to integers, halves what is kept and gathered.
        pairs = [
            {
                size: patches.half().cpu().numpy()
                for size, patches in self._patches(both, place)
            }
            for both, place in zip(
                torch.stack([real, fake], 1), places, strict=True
            )
        ]
        self.results += pairs

    def _patches(
        self, images: Tensor, place: int
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield patches of a real image and a generated one, level by level.

        Args:
            images (Tensor): uint8, of shape (2, C, H, W).
            place (int): Of the pair in the whole set.

        Yields:
            tuple[str, Tensor]: The size of the level, and patches of shape
            (2, num_patches, C, 7, 7).
        """
        random = np.random.default_rng((self.seed, place))
        for level in laplacian_pyramid(images.float()):
            height, width = level.shape[2:]
            windows = level.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
            rows = random.integers(height - PATCH + 1, size=self.num_patches)
            columns = random.integers(width - PATCH + 1, size=self.num_patches)
            patches = windows[:, :, rows, columns]
            size = f'{height}' if height == width else f'{height}x{width}'
            yield size, patches.transpose(1, 2)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Compute the distance for each level, and their mean."""
        random = np.random.default_rng(self.seed)
        distances = {}
        for size in results[0]:
            real, fake = (
                normalised(np.concatenate([pair[size][i] for pair in results]))
                for i in range(2)
            )
            of_repeats = []
            for _ in range(self.num_repeats):
                directions = random.standard_normal(
                    (self.num_directions, real.shape[1]), dtype=np.float32
                )
                directions /= np.linalg.norm(directions, axis=1, keepdims=True)
                of_repeats.append(
                    sliced_wasserstein(real, fake, directions).mean()
                )
            distances[size] = 1000 * float(np.mean(of_repeats))
        return dict(avg=float(np.mean(list(distances.values()))), **distances)


def laplacian_pyramid(images: Tensor) -> list[Tensor]:
    """Return what each halving of the images loses, and what is left at last.

    Burt and Adelson, "The Laplacian Pyramid as a Compact Image Code", IEEE
    Transactions on Communications, 1983.

    Args:
        images (Tensor): float, of shape (N, C, H, W).

    Returns:
        list[Tensor]: Levels at full size, half of it and so on, down to the
        last that is at least 16 pixels high and wide.

    Raises:
        ValueError: If the images are smaller than that.
    """
    if min(images.shape[2:]) < 16:
        raise ValueError(
            'SWD needs images of at least 16x16 pixels, '
            f'but got {images.shape[2]}x{images.shape[3]}'
        )
    levels = [images]
    while min(levels[-1].shape[2:]) >= 32:
        finer = levels[-1]
        coarser = _blurred(finer)[:, :, ::2, ::2]
        levels[-1] = finer - _doubled(coarser, finer.shape[2:])
        levels.append(coarser)
    return levels


def _blurred(images: Tensor) -> Tensor:
    """Blur images by a 5x5 binomial filter, mirrored at their borders."""
    channels = images.shape[1]
    row = images.new_tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16
    kernel = torch.outer(row, row).repeat(channels, 1, 1, 1)
    padded = F.pad(images, (2, 2, 2, 2), mode='reflect')
    with full_precision():
        return F.conv2d(padded, kernel, groups=channels)


def _doubled(images: Tensor, size: torch.Size) -> Tensor:
    """Double the size of images: zeros between the pixels, then a blur."""
    spread = images.new_zeros(*images.shape[:2], *size)
    spread[:, :, ::2, ::2] = images
    return _blurred(spread) * 4


def normalised(patches: np.ndarray) -> np.ndarray:
    """Normalise patches to vectors, each channel of mean 0 and deviation 1.

    Args:
        patches (np.ndarray): Of shape (N, C, 7, 7).

    Returns:
        np.ndarray: float32, of shape (N, C * 49).
    """
    vectors = torch.from_numpy(patches).float()
    # In double precision, since there are millions to add up.
    deviation, mean = (
        x.float()
        for x in torch.std_mean(
            vectors.double(), dim=(0, 2, 3), correction=0, keepdim=True
        )
    )
    # A blank channel stays 0.
    deviation = torch.where(deviation > 0, deviation, 1)
    return ((vectors - mean) / deviation).flatten(1).numpy()


def sliced_wasserstein(
    one: np.ndarray, other: np.ndarray, directions: np.ndarray
) -> np.ndarray:
    """Compute the Wasserstein-1 distance of two point sets along directions.

    Args:
        one (np.ndarray): Points, of shape (N, D).
        other (np.ndarray): As many, of shape (N, D).
        directions (np.ndarray): Of length 1 each, of shape (K, D).

    Returns:
        np.ndarray: Distances, of shape (K, ).
    """
    # In one dimension the best transport moves the k-th smallest value to the
    # k-th smallest.
    sorted_one = np.sort(directions @ one.T, axis=1)
    sorted_other = np.sort(directions @ other.T, axis=1)
    gaps = np.abs(sorted_one - sorted_other)
    distances: np.ndarray = gaps.mean(axis=1, dtype=np.float64)
    return distances
