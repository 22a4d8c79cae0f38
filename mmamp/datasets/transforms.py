"""The ends of a pipeline; what lies between are mmcv's transforms."""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform, LoadImageFromFile

from mmamp.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``, with an error that names the picture.

    Args:
        **kwargs: Arguments of ``LoadImageFromFile``, such as ``color_type``
            (``'color'``, the default, or ``'grayscale'``).

    Raises:
        ValueError: If the file cannot be read as a picture.
    """

    def transform(self, results: dict) -> dict | None:
        """Read ``img_path`` into ``img``, channels in the order BGR."""
        try:
            return super().transform(results)
        except Exception as error:
            # cv2 and the file back ends raise whatever they like.
            raise ValueError(
                f'cannot read {results["img_path"]!r} as a picture: {error}'
            ) from error


@TRANSFORMS.register_module()
class PackImage(BaseTransform):
    """Image and label as the model takes them.

    Args:
        to_rgb (bool): Whether the channels of a colour image, which mmcv
            loads as BGR, are reversed. Defaults to True.

    Raises:
        ValueError: If the image is not of shape (H, W) or (H, W, C).
    """

    def __init__(self, to_rgb: bool = True) -> None:
        self.to_rgb = to_rgb

    def transform(self, results: dict) -> dict[str, Any]:
        """Pack ``img`` and ``gt_label``.

        Args:
            results (dict): ``img``, uint8 of shape (H, W) or (H, W, C), and
                optionally ``gt_label`` (int).

        Returns:
            dict: ``inputs``, a uint8 Tensor of shape (C, H, W), and
            ``data_samples``, a dict with ``gt_label`` if there was one.
        """
        img = results['img']
        if img.ndim == 2:
            img = img[:, :, None]
        if img.ndim != 3:
            raise ValueError(
                'img must be of shape (H, W) or (H, W, C), '
                f'but got {img.shape}'
            )
        if self.to_rgb and img.shape[2] == 3:
            img = img[:, :, ::-1]
        inputs = torch.from_numpy(np.ascontiguousarray(img.transpose(2, 0, 1)))
        samples = {k: results[k] for k in ('gt_label',) if k in results}
        return dict(inputs=inputs, data_samples=samples)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(to_rgb={self.to_rgb})'
