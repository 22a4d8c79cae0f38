"""The ends of a pipeline; what lies between are mmcv's transforms and ours."""

import os
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform, LoadImageFromFile
from torch import Tensor

from mmamp.errors import DataError
from mmamp.registry import TRANSFORMS


class PictureError(DataError):
    """A file cannot be read as a picture.

    Args:
        path (str): Of the file; or, from a worker, torch's text.
        error (Exception, optional): What reading it has raised. Defaults to
            None.

    Attributes:
        path (str): Of the file.
    """

    def __init__(self, path: str, error: Exception | None = None) -> None:
        self.path = path
        if error is None:
            super().__init__(path)
            return
        why = getattr(error, 'strerror', None) or 'no format that is known'
        if os.path.isfile(path) and not os.path.getsize(path):
            why = 'the file is empty'
        super().__init__(
            f'cannot read {path!r} as a picture ({why}): remove it, or have '
            "such files left out by the dataset's on_error='skip' "
            '(--cfg-options train_dataloader.dataset.on_error=skip), or in a '
            'copy by tools/dataset_converters/resize_folder.py'
        )


@TRANSFORMS.register_module()
class LoadImage(LoadImageFromFile):
    """mmcv's ``LoadImageFromFile``, with an error that names the picture.

    Args:
        key (str): Where the picture goes; it is read from the file that
            ``{key}_path`` names. Defaults to ``'img'``; ``'gt_img'`` is the
            wanted picture of a pair.
        **kwargs: Arguments of ``LoadImageFromFile``, such as ``color_type``
            (``'color'``, the default, or ``'grayscale'``).

    Raises:
        DataError: If the file cannot be read as a picture, or the dataset
            gives no path for ``key``; one line.

    Examples:
        >>> pipeline = [
        ...     dict(type='mmamp.LoadImage'),
        ...     dict(type='mmamp.LoadImage', key='gt_img'),
        ...     dict(type='mmamp.PackImage')]
    """

    def __init__(self, key: str = 'img', **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.key = key

    def transform(self, results: dict[str, Any]) -> dict[str, Any] | None:
        """Read ``img_path`` into ``img``, channels in the order BGR."""
        path_key = f'{self.key}_path'
        if path_key not in results:
            raise DataError(
                f'LoadImage(key={self.key!r}) needs {path_key!r}, but the '
                f'dataset gives {sorted(results)}'
            )
        path = results[path_key]
        try:
            loaded = super().transform(dict(img_path=path))
        except Exception as error:
            # cv2 and the file back ends raise whatever they like.
            raise PictureError(path, error) from None
        if loaded is None:
            return None
        results[self.key] = loaded['img']
        if self.key == 'img':
            results['img_shape'] = loaded['img_shape']
            results['ori_shape'] = loaded['ori_shape']
        return results


@TRANSFORMS.register_module()
class PackImage(BaseTransform):
    """Images and label as the model takes them.

    Args:
        to_rgb (bool): Whether the channels of a colour image, which mmcv
            loads as BGR, are reversed. Defaults to True.

    Raises:
        ValueError: If an image is not of shape (H, W) or (H, W, C).

    Examples:
        >>> pipeline = [
        ...     dict(type='mmamp.LoadImage'),
        ...     dict(type='mmamp.PackImage', to_rgb=False)]
    """

    # The wanted result of a paired task, a picture of the other domain.
    _IMAGES = ('gt_img', 'target_img')

    def __init__(self, to_rgb: bool = True) -> None:
        self.to_rgb = to_rgb

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack ``img``, ``gt_label``, ``gt_img`` and ``target_img``.

        Args:
            results (dict): ``img``, uint8 of shape (H, W) or (H, W, C), and
                optionally ``gt_label`` (int), ``gt_img`` and ``target_img``,
                images like ``img``, of any size.

        Returns:
            dict: ``inputs``, a uint8 Tensor of shape (C, H, W), and
            ``data_samples``, a dict with those of ``gt_label``, ``gt_img``
            and ``target_img`` that there were, images as ``inputs``.
        """
        samples = {k: results[k] for k in ('gt_label',) if k in results}
        for key in self._IMAGES:
            if key in results:
                samples[key] = self._pack(results[key], key)
        return dict(
            inputs=self._pack(results['img'], 'img'), data_samples=samples
        )

    def _pack(self, img: np.ndarray, key: str) -> Tensor:
        if img.ndim == 2:
            img = img[:, :, None]
        if img.ndim != 3:
            raise ValueError(
                f'{key} must be of shape (H, W) or (H, W, C), '
                f'but got {img.shape}'
            )
        if self.to_rgb and img.shape[2] == 3:
            img = img[:, :, ::-1]
        return torch.from_numpy(np.ascontiguousarray(img.transpose(2, 0, 1)))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(to_rgb={self.to_rgb})'
