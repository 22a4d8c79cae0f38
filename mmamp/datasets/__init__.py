"""Data: the digits that scikit-learn ships, and folders of the user's."""

from .digits import DigitsDataset
from .image_folder import ImageFolderDataset
from .seeded import SeededDataset, SeededSampler
from .transforms import LoadImage, PackImage

__all__ = [
    'DigitsDataset',
    'ImageFolderDataset',
    'LoadImage',
    'PackImage',
    'SeededDataset',
    'SeededSampler',
]
