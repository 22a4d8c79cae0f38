"""Pictures of two domains, where no picture has a counterpart."""

from typing import Any

import numpy as np

from mmamp.registry import DATASETS
from mmamp.utils.protocols import LoadsLate


@DATASETS.register_module()
class UnpairedDataset:
    """The items of one dataset, each with a random picture of another.

    As CycleGAN wants it (Zhu et al., "Unpaired Image-to-Image Translation
    using Cycle-Consistent Adversarial Networks", 2017). Length, labels and
    meta information are those of ``source``.

    Args:
        source (dict or Dataset): Pictures of the first domain, with a
            pipeline that ends with ``PackImage``.
        target (dict or Dataset): Pictures of the other domain, likewise.
        test_mode (bool): Whether item i goes with picture i of ``target``,
            which begins again at its end, instead of a random one. Defaults
            to False.

    Raises:
        TypeError: If an item of either is not what ``PackImage`` gives.

    Examples:
        >>> pipeline = [
        ...     dict(type='mmamp.LoadImage'), dict(type='mmamp.PackImage')]
        >>> dataset = dict(
        ...     type='mmamp.UnpairedDataset',
        ...     source=dict(
        ...         type='mmamp.ImageFolderDataset',
        ...         data_root='data/horse2zebra/trainA',
        ...         pipeline=pipeline),
        ...     target=dict(
        ...         type='mmamp.ImageFolderDataset',
        ...         data_root='data/horse2zebra/trainB',
        ...         pipeline=pipeline))
    """

    def __init__(
        self, source: Any, target: Any, test_mode: bool = False
    ) -> None:
        self.source = _build(source)
        self.target = _build(target)
        self.test_mode = test_mode

    @property
    def metainfo(self) -> dict[str, Any]:
        """Return the meta information of ``source``."""
        metainfo: dict[str, Any] = self.source.metainfo
        return metainfo

    def full_init(self) -> None:
        """Load the lists of both, where that was put off."""
        for dataset in (self.source, self.target):
            if isinstance(dataset, LoadsLate):
                dataset.full_init()

    def get_data_info(self, index: int) -> dict[str, Any]:
        """Return what ``source`` knows of an item before its pipeline.

        Args:
            index (int): Of the item.

        Returns:
            dict: As ``BaseDataset.get_data_info`` has it.
        """
        item: dict[str, Any] = self.source.get_data_info(index)
        return item

    def __len__(self) -> int:
        """Count the pictures of the first domain."""
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Load an item of ``source`` and one of ``target``.

        The picture of the latter is ``target_img`` in ``data_samples``.
        """
        item = _packed(self.source[index], 'source')
        # numpy's own generator: SeededDataset seeds it by the position, and
        # a worker of the data loader by its number.
        number = (
            index % len(self.target)
            if self.test_mode
            else np.random.randint(len(self.target))
        )
        other = _packed(self.target[number], 'target')
        samples = dict(item['data_samples'], target_img=other['inputs'])
        return dict(item, data_samples=samples)


def _build(dataset: Any) -> Any:
    return DATASETS.build(dataset) if isinstance(dataset, dict) else dataset


def _packed(item: Any, name: str) -> dict[str, Any]:
    if not (
        isinstance(item, dict) and {'inputs', 'data_samples'} <= item.keys()
    ):
        has = sorted(item) if isinstance(item, dict) else type(item).__name__
        raise TypeError(
            f'{name} must give dicts with `inputs` and `data_samples`, but '
            f"got {has}: end its pipeline with dict(type='PackImage')"
        )
    return item
