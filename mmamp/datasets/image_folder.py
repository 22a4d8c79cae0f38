"""Folders of pictures."""

import os
from pathlib import Path
from typing import Any

from mmamp.registry import DATASETS

from .pictures import FolderDataset

EXTENSIONS = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def pictures_below(folder: Path) -> list[Path]:
    """Find the pictures in a folder and the folders below it.

    Args:
        folder (Path): The folder; it may be, or hold, links to others.

    Returns:
        list[Path]: In alphabetical order, so that every rank has the same.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If it holds no picture.
    """
    if not folder.exists():
        raise FileNotFoundError(
            f'the folder {str(folder)!r} does not exist '
            f'(working directory: {str(Path.cwd())!r})'
        )
    if not folder.is_dir():
        raise NotADirectoryError(f'{str(folder)!r} is a file, not a folder')
    # os.walk, since data folders are often links, which rglob passes by.
    paths = sorted(
        Path(parent, name)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if Path(name).suffix.lower() in EXTENSIONS
    )
    if not paths:
        raise ValueError(
            f'the folder {str(folder)!r} holds no picture '
            f'({", ".join(EXTENSIONS)})'
        )
    return paths


@DATASETS.register_module()
class ImageFolderDataset(FolderDataset):
    """Every picture in a folder and the folders below it.

    Args:
        data_root (str): The folder.
        with_labels (bool): Whether each picture's class is the first folder
            below ``data_root`` that it is in, numbered in alphabetical order.
            Defaults to False.
        **kwargs: ``on_error='skip'``, with which files that cannot be read
            are left out at the start, counted and listed in the log, and not
            met in training (``'raise'``, the default); arguments of
            MMEngine's ``BaseDataset``, above all ``pipeline``.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If it holds no picture, or a picture has no class.

    Examples:
        >>> dataset = dict(
        ...     type='mmamp.ImageFolderDataset',
        ...     data_root='data/faces',
        ...     pipeline=[
        ...         dict(type='mmamp.LoadImage'),
        ...         dict(type='Resize', scale=(64, 64)),
        ...         dict(type='RandomFlip', prob=0.5),
        ...         dict(type='mmamp.PackImage')])
    """

    METAINFO = dict(dataset_name='image_folder')

    def __init__(
        self, data_root: str, with_labels: bool = False, **kwargs: Any
    ) -> None:
        self._folder = Path(data_root)
        self._with_labels = with_labels
        super().__init__(data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return a dict a picture: ``img_path``, ``gt_label`` if wanted."""
        paths = pictures_below(self._folder)
        if not self._with_labels:
            return [dict(img_path=str(path)) for path in paths]
        names = [path.relative_to(self._folder).parts for path in paths]
        loose = [
            str(p) for p, n in zip(paths, names, strict=True) if len(n) < 2
        ]
        if loose:
            raise ValueError(
                f'with_labels=True, but {len(loose)} pictures are in no class '
                f'folder below {str(self._folder)!r}, such as {loose[0]!r}'
            )
        classes = sorted({n[0] for n in names})
        self._metainfo['classes'] = tuple(classes)
        index = {name: i for i, name in enumerate(classes)}
        return [
            dict(img_path=str(path), gt_label=index[name[0]])
            for path, name in zip(paths, names, strict=True)
        ]
