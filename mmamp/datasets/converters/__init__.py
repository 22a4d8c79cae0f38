"""From data as they are published to folders of pictures."""

from .cifar10 import convert_cifar10
from .resize import Resized, resize_pictures
from .sources import FolderSource, LmdbSource, Source, ZipSource, open_source

__all__ = [
    'FolderSource',
    'LmdbSource',
    'Resized',
    'Source',
    'ZipSource',
    'convert_cifar10',
    'open_source',
    'resize_pictures',
]
