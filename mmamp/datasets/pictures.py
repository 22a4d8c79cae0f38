"""What datasets of pictures share: mistakes in one line, broken files."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from traceback import walk_tb
from typing import Any
from weakref import WeakKeyDictionary

from mmcv.transforms import LoadImageFromFile, processing
from mmengine.dataset import BaseDataset, Compose
from mmengine.logging import MMLogger

from mmamp.errors import DataError, UsageError
from mmamp.logging.once import LogOnce
from mmamp.utils.checks import check_choice
from mmamp.utils.listing import listed

from . import image_transforms
from .transforms import LoadImage, PackImage, PictureError

_told: WeakKeyDictionary[MMLogger, LogOnce] = WeakKeyDictionary()
"""What was logged, by the log of the run."""
_SHOWN = 10
"""Pictures that are left out, by name."""
_OURS = ('mmamp', 'mmcv')
"""Packages whose transforms fail for what they are given."""
_NEED_IMG = (processing.__name__, image_transforms.__name__)
"""Modules whose transforms work on a picture that is there already."""


class PictureDataset(BaseDataset):
    """A dataset whose items go through transforms of pictures.

    What one of mmamp's or mmcv's transforms cannot do, and what a transform
    of anybody's lacks, is told in one line with the picture's path; another
    error of a transform of the user's is left as it is.

    Args:
        **kwargs: Arguments of MMEngine's ``BaseDataset``.
    """

    def prepare_data(self, idx: int) -> Any:
        """Load an item.

        Args:
            idx (int): Of the item.

        Raises:
            DataError: If a transform cannot do its work; one line.
        """
        try:
            return super().prepare_data(idx)
        except DataError:
            raise
        except Exception as error:
            text = _explained(error)
            if text is None:
                raise
            # No more is told from a worker either.
            raise DataError(' '.join(text.split())) from None


class FolderDataset(PictureDataset):
    """A dataset of picture files.

    Args:
        on_error (str): What becomes of files that are no pictures:
            ``'raise'``, an error when one is met, or ``'skip'``: each is read
            once at the start, and those that cannot be are left out, which
            the log counts and lists. Defaults to ``'raise'``.
        **kwargs: Arguments of MMEngine's ``BaseDataset``.

    Raises:
        ValueError: If ``on_error`` is another, no picture is left, or a
            transform that works on pictures comes before ``LoadImage``.
    """

    def __init__(self, on_error: str = 'raise', **kwargs: Any) -> None:
        self._skips = (
            check_choice('on_error', on_error, ('raise', 'skip')) == 'skip'
        )
        super().__init__(**kwargs)
        self._check_order(self.pipeline.transforms)

    @staticmethod
    def _check_order(transforms: Sequence[Any]) -> None:
        """Refuse a pipeline that works on a picture before it is read.

        mmcv's ``Resize`` does nothing then, without a word.
        """
        for number, transform in enumerate(transforms, 1):
            name = type(transform).__name__
            needs = type(transform).__module__ in _NEED_IMG
            if not (needs or isinstance(transform, PackImage)):
                return  # it reads the picture, or may do so
            loads = any(isinstance(x, LoadImageFromFile) for x in transforms)
            where = 'comes after it' if loads else 'is not there'
            raise UsageError(
                f'pipeline: {name}, its transform number {number}, needs a '
                f"picture, but dict(type='LoadImage'), which reads it, "
                f'{where}: put it first'
            )

    def filter_data(self) -> list[dict[str, Any]]:
        """Leave out what cannot be read, if that is wanted."""
        items: list[dict[str, Any]] = super().filter_data()
        loaders = [
            x for x in self.pipeline.transforms if isinstance(x, LoadImage)
        ]
        if not self._skips:
            return items
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            errors = [*pool.map(lambda item: _error(loaders, item), items)]
        broken = [error for error in errors if error is not None]
        if len(broken) == len(items):
            raise UsageError(
                f'none of {len(items)} pictures below '
                f'{str(self.data_root)!r} can be read; {broken[0]}'
            )
        if broken:
            paths = [repr(error.path) for error in broken]
            # Training and validation may be on the same files.
            log = MMLogger.get_current_instance()
            _told.setdefault(log, LogOnce()).warn(
                f"on_error='skip': {len(broken)} of {len(items)} pictures "
                f'below {str(self.data_root)!r} cannot be read and are left '
                f'out: {listed(paths, _SHOWN)}'
            )
        return [
            item
            for item, error in zip(items, errors, strict=True)
            if error is None
        ]


def _error(
    loaders: Sequence[LoadImage], item: dict[str, Any]
) -> PictureError | None:
    """Return what reading the pictures of an item raises, if anything."""
    for load in loaders:
        try:
            load(dict(item))
        except PictureError as error:
            return error
    return None


def _explained(error: Exception) -> str | None:
    """Say in one line what a transform could not do, and of which picture."""
    for frame, _ in walk_tb(error.__traceback__):
        found = frame.f_locals
        compose = found.get('self')
        if isinstance(compose, Compose) and 't' in found:
            break
    else:
        return None
    transform, item = found['t'], found['data']
    name = type(transform).__name__
    number = compose.transforms.index(transform) + 1
    key = error.args[0] if error.args else None
    if isinstance(error, AssertionError) and 'img' not in item:
        key = 'img'  # mmcv's CenterCrop
    # What TransformBroadcaster maps, and does not miss.
    mapped = _names(getattr(transform, 'mapping', None))
    key = next((name for name in mapped if name not in item), key)
    if isinstance(key, str) and key.isidentifier() and key not in item:
        return (
            f'pipeline: {name}, its transform number {number}, needs '
            f'{key!r}, but there are only {", ".join(map(str, item))}'
            f'{_reader(key, item)}'
        )
    if type(transform).__module__.partition('.')[0] not in _OURS:
        return None
    path = str(item.get('img_path', ''))
    text = str(error) or type(error).__name__
    return text if path in text else f'{name} of {path!r}: {text}'


def _names(mapping: Any) -> list[str]:
    """List the keys of items that mmcv's ``mapping`` names."""
    if isinstance(mapping, str):
        return [mapping]
    if isinstance(mapping, dict):
        mapping = list(mapping.values())
    if not isinstance(mapping, (list, tuple)):
        return []
    return [name for value in mapping for name in _names(value)]


def _reader(key: str, item: dict[str, Any]) -> str:
    """Say what would give a key that is not there."""
    if f'{key}_path' not in item:
        return '; let the dataset, or a transform before it, give it'
    given = '' if key == 'img' else f', key={key!r}'
    return f"; dict(type='LoadImage'{given}) before it reads it"
