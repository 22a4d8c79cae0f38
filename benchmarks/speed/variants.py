"""What is compared with what."""

from dataclasses import dataclass

from .models import EMPTY, MODELS_BY_NAME

BY_HAND, FABRIC, MMAMP, STOCK = 'by hand', 'Fabric', 'mmamp', 'stock'
"""The ways to train: a loop, one of Lightning Fabric's, mmamp under the
Runner, MMEngine alone."""


@dataclass(frozen=True)
class Variant:
    """One way to train one model.

    Args:
        model (str): Its name.
        way (str): One of the four.
        dtype (str): Defaults to ``'float32'``.
        memory_format (str): Defaults to ``'contiguous_format'``.
        filled (int): Iterations that the histories of logged scalars are
            filled with. Defaults to 0.
        dataset_size (int): Images in an epoch. Defaults to 0: it never ends.
        copy (int): Another one is another process that does the same.
            Defaults to 0.
    """

    model: str
    way: str
    dtype: str = 'float32'
    memory_format: str = 'contiguous_format'
    filled: int = 0
    dataset_size: int = 0
    copy: int = 0

    @property
    def batch_size(self) -> int:
        """Return the number of images in an iteration."""
        return (
            8 if self.model == EMPTY else MODELS_BY_NAME[self.model].batch_size
        )

    def __str__(self) -> str:
        layout = self.memory_format.removesuffix('_format')
        return f'{self.way}, {self.dtype}, {layout}'
