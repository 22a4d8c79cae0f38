"""Handwritten digits, without a download."""

from typing import Any

import numpy as np

from mmamp.registry import DATASETS
from mmamp.utils.checks import check_choice

from .pictures import PictureDataset

SPLITS = ('all', 'train', 'val')


@DATASETS.register_module()
class DigitsDataset(PictureDataset):
    """The 1,797 handwritten digits that scikit-learn ships.

    Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI
    Machine Learning Repository, 1998. Each image is 8x8, here as uint8 of
    shape (8, 8); a ``Resize`` in the pipeline makes it larger.

    Args:
        classes (list[int], optional): Which digits. Defaults to None: all.
        split (str): ``'train'``, four fifths of the images; ``'val'``, the
            other fifth; or ``'all'``. Which image is where never changes, and
            each digit has the same share of both. Defaults to ``'all'``.
        **kwargs: Arguments of MMEngine's ``BaseDataset``, above all
            ``pipeline``.

    Raises:
        ValueError: If a class is not a digit, or there is none, or ``split``
            is not one of these.

    Examples:
        >>> dataset = dict(
        ...     type='mmamp.DigitsDataset',
        ...     pipeline=[
        ...         dict(type='Resize', scale=(32, 32)),
        ...         dict(type='mmamp.PackImage')])
    """

    METAINFO = dict(
        dataset_name='digits', classes=tuple(str(i) for i in range(10))
    )

    def __init__(
        self,
        classes: list[int] | None = None,
        split: str = 'all',
        **kwargs: Any,
    ) -> None:
        wanted = list(range(10)) if classes is None else list(classes)
        if not wanted or not set(wanted) <= set(range(10)):
            raise ValueError(
                f'classes={classes!r}: give a list of digits from 0 to 9'
            )
        self._wanted = wanted
        self._split = check_choice('split', split, SPLITS)
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return a dict an image: ``img`` (uint8, 8x8), ``gt_label`` (int)."""
        # Here, since a user of other data need not have it, nor wait for it.
        from sklearn.datasets import load_digits

        digits = load_digits()
        # Pixels count 0 to 16.
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)
        return [
            dict(img=images[i], gt_label=int(digits.target[i]))
            for i in self._chosen(digits.target)
            if digits.target[i] in self._wanted
        ]

    def _chosen(self, target: np.ndarray) -> np.ndarray:
        """Choose the images of the split, in scikit-learn's order."""
        from sklearn.model_selection import train_test_split

        every = np.arange(len(target))
        if self._split == 'all':
            return every
        train, val = train_test_split(
            every, test_size=0.2, random_state=0, stratify=target
        )
        return np.sort(train if self._split == 'train' else val)
