"""Peak signal-to-noise ratio."""

from torch import Tensor

from mmamp.registry import METRICS

from .images import library
from .restoration import RestorationMetric


@METRICS.register_module()
class PSNR(RestorationMetric):
    """Peak signal-to-noise ratio, in decibels, of restored images.

    10 log10(255**2 / mean squared error) of each image, by torchmetrics, and
    the mean of that over the set; infinite if an image is exactly as wanted.
    Reported as ``PSNR``.

    Args:
        **kwargs: Arguments of
            :class:`~mmamp.evaluation.restoration.RestorationMetric`:
            ``crop_border``, ``convert_to`` and ``real_key``.

    Examples:
        >>> val_evaluator = dict(
        ...     type='mmamp.PSNR', crop_border=4, convert_to='Y')
    """

    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """The ratio of each image."""
        functional = library('torchmetrics.functional.image', self)
        ratio: Tensor = functional.peak_signal_noise_ratio(
            fake, real, data_range=255.0, dim=(1, 2, 3), reduction='none'
        )
        return ratio
