"""How many generated digits are digits, as a metric."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from mmamp.registry import METRICS

from .digit_classifier import NOT_A_DIGIT, DigitClassifier
from .images import fake_images


@METRICS.register_module()
class DigitShare(BaseMetric):
    """The share of generated images that are digits, and of how many kinds.

    :class:`~mmamp.evaluation.digit_classifier.DigitClassifier` takes an image
    for a digit, with confidence, or does not. Reported as ``digits/share`` in
    percent of all images, ``digits/rarest``: that of the digit that is made
    least often, and ``digits/kinds``: how many of the ten digits occur.

    Args:
        **kwargs: Arguments of MMEngine's ``BaseMetric``.

    Raises:
        ValueError: If images are not grey, or their size is no multiple of 8.

    Examples:
        >>> val_evaluator = dict(type='mmamp.DigitShare')
    """

    default_prefix = 'digits'

    def process(
        self, data_batch: Any, data_samples: Sequence[dict[str, Any]]
    ) -> None:
        """Note which digit each image is.

        Args:
            data_batch (Any): Not used.
            data_samples (Sequence[dict]): With ``fake_img``, uint8 of shape
                (1, H, W), one an image.
        """
        images = fake_images(data_samples).cpu().numpy()
        self.results += _classifier().labels(images).tolist()

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Return shares in percent, and the number of kinds."""
        counts = np.bincount(results, minlength=NOT_A_DIGIT + 1)[:NOT_A_DIGIT]
        return dict(
            share=float(100 * counts.sum() / len(results)),
            rarest=float(100 * counts.min() / len(results)),
            # A float: of an int MMEngine writes null into the log of a test.
            kinds=float(np.count_nonzero(counts)),
        )


@cache
def _classifier() -> DigitClassifier:
    """Return one classifier for all, since it takes seconds to train."""
    return DigitClassifier()
