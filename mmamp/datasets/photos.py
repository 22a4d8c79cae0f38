"""Patches of two photographs, without a download."""

from typing import Any

import numpy as np

from mmamp.registry import DATASETS
from mmamp.utils.checks import check_choice, check_int, check_weight

from .pictures import PictureDataset

SPLITS = ('train', 'val')


@DATASETS.register_module()
class PhotosDataset(PictureDataset):
    """Patches of the two photographs that scikit-learn ships.

    A temple and a flower, 427 rows and 640 columns each: enough to see
    super-resolution learn, not to compare methods. The right quarter of each,
    160 columns, is for validation; no pixel of it is in a training patch.

    Args:
        split (str): ``'train'`` or ``'val'``.
        patch_size (int): Height and width of a patch in pixels, at most 160.
            Defaults to 96.
        stride (int, optional): Pixels from one patch to the next, down and
            across. Defaults to None: ``patch_size``, so that patches do not
            overlap.
        min_detail (float): Patches whose neighbouring pixels differ by less
            on average, in grey levels of 0 to 255, are left out: of an empty
            sky there is nothing to learn or to see. Defaults to 0: none.
        **kwargs: Arguments of MMEngine's ``BaseDataset``, above all
            ``pipeline``.

    Raises:
        ValueError: If ``split`` is another, ``patch_size`` is not within 1 to
            160, ``stride`` is < 1, ``min_detail`` is negative, or no patch
            has so much.

    Examples:
        >>> dataset = dict(
        ...     type='mmamp.PhotosDataset',
        ...     split='train',
        ...     stride=24,
        ...     pipeline=[
        ...         dict(type='RandomFlip', prob=0.5),
        ...         dict(type='mmamp.MakeLowResolution', scale=4),
        ...         dict(type='mmamp.PackImage')])
    """

    METAINFO = dict(dataset_name='photos')
    _VAL_COLUMNS = 160

    def __init__(
        self,
        split: str,
        patch_size: int = 96,
        stride: int | None = None,
        min_detail: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self._split = check_choice('split', split, SPLITS)
        self._size = check_int(
            'patch_size', patch_size, high=self._VAL_COLUMNS
        )
        stride = patch_size if stride is None else stride
        self._stride = check_int('stride', stride)
        self._min_detail = check_weight('min_detail', min_detail)
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return one dict a patch.

        It holds ``img``, uint8 of shape (size, size, 3), BGR.
        """
        # Here, since a user of other data need not wait for it.
        from sklearn.datasets import load_sample_images

        patches = [
            patch
            for photo in load_sample_images().images
            for patch in self._patches(self._part(photo[:, :, ::-1]))
        ]
        details = [_detail(patch) for patch in patches]
        kept = [
            dict(img=patch)
            for patch, detail in zip(patches, details, strict=True)
            if detail >= self._min_detail
        ]
        if not kept:
            raise ValueError(
                f'min_detail={self._min_detail} leaves no patch: the most '
                f'that one has is {max(details):.1f}'
            )
        return kept

    def _part(self, photo: np.ndarray) -> np.ndarray:
        border = photo.shape[1] - self._VAL_COLUMNS
        return (
            photo[:, :border] if self._split == 'train' else photo[:, border:]
        )

    def _patches(self, part: np.ndarray) -> list[np.ndarray]:
        size, stride = self._size, self._stride
        return [
            np.ascontiguousarray(
                part[row : row + size, column : column + size]
            )
            for row in range(0, part.shape[0] - size + 1, stride)
            for column in range(0, part.shape[1] - size + 1, stride)
        ]


def _detail(patch: np.ndarray) -> float:
    """Return the mean difference of neighbouring pixels, down and across."""
    grey = patch.astype(np.float32).mean(2)
    down, across = (np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1))
    return float(down + across) / 2
