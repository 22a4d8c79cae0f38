"""The share of images whose class is found."""

from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric

from mmamp.registry import METRICS


@METRICS.register_module()
class Accuracy(BaseMetric):
    """Top-1 accuracy of a classifier, in percent.

    Predictions have ``pred_label`` (int), the batch has
    ``data_samples['gt_label']``. Reported as ``accuracy``.

    Args:
        **kwargs: Arguments of MMEngine's ``BaseMetric``.

    Examples:
        >>> val_evaluator = dict(type='mmamp.Accuracy')
    """

    # Not None, for which MMEngine would warn.
    default_prefix = ''

    def process(
        self, data_batch: Any, data_samples: Sequence[dict[str, Any]]
    ) -> None:
        """Note for each image whether its class was found.

        Args:
            data_batch (dict): With ``data_samples['gt_label']``.
            data_samples (Sequence[dict]): With ``pred_label``, one an image.
        """
        labels = data_batch['data_samples']['gt_label'].tolist()
        self.results += [
            sample['pred_label'] == label
            for sample, label in zip(data_samples, labels, strict=True)
        ]

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Return the share of images whose class was found, in percent."""
        return dict(accuracy=100 * sum(results) / len(results))
