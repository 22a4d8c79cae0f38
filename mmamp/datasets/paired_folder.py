"""Two folders whose pictures belong together."""

from pathlib import Path
from typing import Any

from mmamp.registry import DATASETS
from mmamp.utils.listing import listed

from .image_folder import pictures_below
from .pictures import FolderDataset


@DATASETS.register_module()
class PairedFolderDataset(FolderDataset):
    """Pairs of pictures: one in each of two folders, under the same name.

    Extensions may differ: ``labels/a/1.png`` goes with ``photos/a/1.jpg``.
    Each item has ``img_path`` and ``gt_img_path``; ``LoadImage`` reads the
    one, ``LoadImage(key='gt_img')`` the other.

    Args:
        data_root (str): Where the two folders are.
        source (str): The folder of inputs, below ``data_root``.
        target (str): The folder of wanted results, below ``data_root``.
        **kwargs: ``on_error='skip'``, with which files that cannot be read
            are left out at the start, counted and listed in the log, and not
            met in training (``'raise'``, the default); arguments of
            MMEngine's ``BaseDataset``, above all ``pipeline``.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If a folder holds no picture, a picture has no partner,
            or two pictures of a folder have one name.

    Examples:
        >>> both = dict(img=['img', 'gt_img'])
        >>> dataset = dict(
        ...     type='mmamp.PairedFolderDataset',
        ...     data_root='data/facades/train',
        ...     source='labels',
        ...     target='photos',
        ...     pipeline=[
        ...         dict(type='mmamp.LoadImage'),
        ...         dict(type='mmamp.LoadImage', key='gt_img'),
        ...         dict(
        ...             type='TransformBroadcaster',
        ...             mapping=both,
        ...             auto_remap=True,
        ...             share_random_params=True,
        ...             transforms=[dict(type='RandomFlip', prob=0.5)]),
        ...         dict(type='mmamp.PackImage')])
    """

    METAINFO = dict(dataset_name='paired_folder')

    def __init__(
        self, data_root: str, source: str, target: str, **kwargs: Any
    ) -> None:
        self._source = Path(data_root, source)
        self._target = Path(data_root, target)
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return one dict a pair: ``img_path`` and ``gt_img_path``."""
        sources = _by_name(self._source)
        targets = _by_name(self._target)
        alone = [
            *(str(path) for n, path in sources.items() if n not in targets),
            *(str(path) for n, path in targets.items() if n not in sources),
        ]
        if alone:
            raise ValueError(
                f'{len(alone)} pictures have no partner of the same name in '
                f'the other one of {str(self._source)!r} and '
                f'{str(self._target)!r}: {_some(alone)}'
            )
        return [
            dict(img_path=str(path), gt_img_path=str(targets[name]))
            for name, path in sources.items()
        ]


def _by_name(folder: Path) -> dict[str, Path]:
    """Find pictures by their path in the folder, less the extension."""
    found: dict[str, Path] = {}
    for path in pictures_below(folder):
        name = path.relative_to(folder).with_suffix('').as_posix()
        if name in found:
            raise ValueError(
                f'{str(found[name])!r} and {str(path)!r} have one name: '
                'which is the partner?'
            )
        found[name] = path
    return found


def _some(paths: list[str], most: int = 10) -> str:
    return listed([*map(repr, paths)], most)
