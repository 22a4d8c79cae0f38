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
        ValueError: If an argument is not valid.

    Examples:
        >>> val_evaluator = dict(
        ...     type='mmamp.PSNR', crop_border=4, convert_to='Y')
    """

    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """Compute the ratio of each image, in dB."""
        functional = library('torchmetrics.functional.image', self)
        ratio: Tensor = functional.peak_signal_noise_ratio(
            fake, real, data_range=255.0, dim=(1, 2, 3), reduction='none'
        )
        return ratio
