"""What metrics of restored images share."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric
from torch import Tensor

from mmamp.utils.checks import check_int

from .images import fake_images, library, real_images


class RestorationMetric(BaseMetric):
    """Compare each made image with the one that was wanted.

    A subclass says how; what it says is averaged over the set, and reported
    under the name of the class. Channels are taken to be in the order RGB.

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
        ValueError: If an argument is not valid, or nothing is left of an
            image, or the luminance of a grey image is asked for.
    """

    # Not None, for which MMEngine would warn.
    default_prefix = ''

    def __init__(
        self,
        crop_border: int = 0,
        convert_to: str | None = None,
        real_key: str = 'gt_img',
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if convert_to not in (None, 'Y'):
            raise ValueError(
                f"convert_to={convert_to!r}: give 'Y' (luminance) or None"
            )
        self.crop_border = check_int('crop_border', crop_border, low=0)
        self.convert_to = convert_to
        self.real_key = real_key
        # Now, so that a run without it ends before it trains.
        library('torchmetrics.functional.image', self)

    def process(
        self, data_batch: Any, data_samples: Sequence[dict[str, Any]]
    ) -> None:
        """Compare the images of a batch.

        Args:
            data_batch (dict): With the wanted images.
            data_samples (Sequence[dict]): With ``fake_img``, uint8 of shape
                (C, H, W), one an image.
        """
        fake = fake_images(data_samples)
        real = real_images(data_batch, self.real_key, like=fake)
        values = self.compare(self._prepared(fake), self._prepared(real))
        self.results += values.tolist()

    def _prepared(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        border = self.crop_border
        if min(height, width) <= 2 * border:
            raise ValueError(
                f'crop_border={border} leaves nothing of images of '
                f'{height}x{width} pixels'
            )
        kept = images[:, :, border : height - border, border : width - border]
        # Not in double, which not every device has.
        return luminance(kept.float()) if self.convert_to else kept.float()

    @abstractmethod
    def compare(self, fake: Tensor, real: Tensor) -> Tensor:
        """Compute the metric of each image.

        Args:
            fake (Tensor): float in [0, 255], of shape (N, C, H, W).
            real (Tensor): float in [0, 255], of shape (N, C, H, W).

        Returns:
            Tensor: Of shape (N, ).
        """

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        """Return the mean over the set."""
        return {type(self).__name__: sum(results) / len(results)}


def luminance(images: Tensor) -> Tensor:
    """Compute the luminance Y of YCbCr, by ITU-R BT.601.

    Args:
        images (Tensor): RGB, float in [0, 255], of shape (N, 3, H, W).

    Returns:
        Tensor: In [16, 235], of shape (N, 1, H, W), not rounded.

    Raises:
        ValueError: If there are not three channels.
    """
    if images.shape[1] != 3:
        raise ValueError(
            "convert_to='Y' needs images of 3 channels, "
            f'but got {images.shape[1]}'
        )
    weights = images.new_tensor([65.481, 128.553, 24.966]) / 255
    return (images * weights.view(1, 3, 1, 1)).sum(1, keepdim=True) + 16
