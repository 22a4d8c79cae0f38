"""Data: what scikit-learn ships, and folders of the user's."""

from .collate import default_collate
from .digits import DigitsDataset
from .image_folder import ImageFolderDataset
from .image_transforms import Edges, MakeLowResolution, RandomCrop, SplitPair
from .paired_folder import PairedFolderDataset
from .photos import PhotosDataset
from .seeded import SeededDataset, SeededSampler
from .transforms import LoadImage, PackImage
from .unpaired import UnpairedDataset

__all__ = [
    'DigitsDataset',
    'Edges',
    'ImageFolderDataset',
    'LoadImage',
    'MakeLowResolution',
    'PackImage',
    'PairedFolderDataset',
    'PhotosDataset',
    'RandomCrop',
    'SeededDataset',
    'SeededSampler',
    'SplitPair',
    'UnpairedDataset',
    'default_collate',
]
