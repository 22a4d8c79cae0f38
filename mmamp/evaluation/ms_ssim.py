"""How alike generated images are to each other."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from mmamp.registry import METRICS
from mmamp.utils.checks import check_int

from .images import fake_images, library, places_of
from .ssim import WINDOW, check_window, structural_similarity

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Of the scales, the finest first."""
BATCH = 64
"""Pairs that are compared at once."""


@METRICS.register_module()
class MSSSIM(BaseMetric):
    """Mean multi-scale structural similarity of pairs of generated images.

    A generator whose samples are all alike comes close to 1; what is right is
    the value of as many real images. Odena, Olah and Shlens, "Conditional
    Image Synthesis with Auxiliary Classifier GANs", ICML 2017, section 4.2,
    here regardless of classes. The similarity is that of Wang, Simoncelli and
    Bovik, "Multiscale Structural Similarity for Image Quality Assessment",
    Asilomar 2003, of torchmetrics' terms at each scale. Images too small for
    its five scales are compared at fewer, whose weights are scaled to the
    same sum; the log says so.

    Reported as ``MS-SSIM``. The same images and seed give the same value, on
    any number of ranks.

    Args:
        num_pairs (int): Pairs, at most; no image is in two of them. Only the
            images of this many pairs are kept. Defaults to 1000.
        seed (int): Of the choice of pairs. Defaults to 0.
        **kwargs: Arguments of MMEngine's ``BaseMetric``.

    Raises:
        ImportError: If torchmetrics is not installed.
        ValueError: If ``num_pairs`` is not positive, images are smaller than
            11 pixels, or there is but one.

    Examples:
        >>> val_evaluator = dict(type='mmamp.MSSSIM', num_pairs=500)
    """

    # Not None, for which MMEngine would warn.
    default_prefix = ''
    min_samples = 2

    def __init__(
        self, num_pairs: int = 1000, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_pairs = check_int('num_pairs', num_pairs)
        self.seed = check_int('seed', seed, low=0)
        self._functional = library('torchmetrics.functional.image', self)
        self._told = False

    def process(
        self, data_batch: Any, data_samples: Sequence[dict[str, Any]]
    ) -> None:
        """Keep images of a batch, if their lot says so.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): With ``fake_img``, uint8 of shape
                (C, H, W), one an image.
        """
        images = fake_images(data_samples)
        self._scales(images)
        places = places_of(len(images), len(self.results))
        for image, place in zip(images.cpu().numpy(), places, strict=True):
            # Of its own, since a view would keep the whole batch.
            self.results.append((self._lot(place), image.copy()))
        self._drop_images()

    def _lot(self, place: int) -> float:
        """Draw an image's number; those with the smallest make the pairs."""
        return np.random.default_rng((self.seed, place)).random()

    def _drop_images(self) -> None:
        """Let go of images that will be in no pair, but keep their lots."""
        held = [i for i, (_, x) in enumerate(self.results) if x is not None]
        held.sort(key=lambda i: self.results[i][0])
        # One more, since the last sample of a rank may be there twice only to
        # fill up, and be cut when ranks are gathered.
        for i in held[2 * self.num_pairs + 1 :]:
            self.results[i] = (self.results[i][0], None)

    def _scales(self, images: Tensor) -> int:
        """Count the scales of images, and tell the log if they are few."""
        check_window(images, 'MS-SSIM')
        height, width = images.shape[2:]
        # The coarsest holds a window still.
        halvings = (min(height, width) // WINDOW).bit_length() - 1
        scales = min(1 + halvings, len(WEIGHTS))
        if scales < len(WEIGHTS) and not self._told:
            self._told = True
            print_log(
                f'MS-SSIM: images of {height}x{width} pixels are too small '
                f'for {len(WEIGHTS)} scales and are compared at {scales}: '
                'not to be compared with values of larger images',
                logger='current',
                level=logging.INFO,
            )
        return scales

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Return the mean similarity of the pairs."""
        num = min(self.num_pairs, len(results) // 2)
        if num == 0:
            raise ValueError('MS-SSIM needs at least two images, but got one')
        drawn = sorted(results, key=lambda result: result[0])[: 2 * num]
        images = torch.from_numpy(np.stack([image for _, image in drawn]))
        pairs = zip(
            images[::2].split(BATCH), images[1::2].split(BATCH), strict=True
        )
        values = [self._similarity(one, other) for one, other in pairs]
        return {'MS-SSIM': float(torch.cat(values).mean())}

    def _similarity(self, one: Tensor, other: Tensor) -> Tensor:
        """Compute the similarity of pairs, of shape (N, )."""
        weights = np.array(WEIGHTS[: self._scales(one)])
        # Contrast and structure at each scale but the coarsest, which has
        # all three terms.
        one, other = one.double(), other.double()
        product = torch.ones(len(one), dtype=one.dtype)
        *finer, coarsest = (weights / weights.sum()).tolist()
        for weight in finer:
            # A negative term, which has no such power, counts as none.
            product *= self._contrast(one, other).relu() ** weight
            one, other = F.avg_pool2d(one, 2), F.avg_pool2d(other, 2)
        last = structural_similarity(self._functional, one, other)
        product *= last.relu() ** coarsest
        return product

    def _contrast(self, one: Tensor, other: Tensor) -> Tensor:
        contrast: Tensor
        _, contrast = self._functional.structural_similarity_index_measure(
            one,
            other,
            data_range=255.0,
            reduction='none',
            return_contrast_sensitivity=True,
        )
        return contrast
