"""Where pictures come from: a folder, a zip archive, LSUN's lmdb."""

import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from mmamp.datasets.image_folder import EXTENSIONS, pictures_below


class Source(Protocol):
    """Pictures by name, still encoded."""

    def names(self) -> Sequence[str]:
        """Return all names: relative paths with forward slashes."""

    def read(self, name: str) -> bytes:
        """Read the bytes of a file."""


class FolderSource:
    """Pictures in a folder and the folders below it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def names(self) -> list[str]:
        """Return paths below the folder, in alphabetical order."""
        paths = pictures_below(self._path)
        return [p.relative_to(self._path).as_posix() for p in paths]

    def read(self, name: str) -> bytes:
        """Read the bytes of a file."""
        return (self._path / name).read_bytes()


class ZipSource:
    """Pictures in a zip archive."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._archive = zipfile.ZipFile(path)

    def names(self) -> list[str]:
        """Return paths in the archive, in alphabetical order."""
        names = sorted(
            name
            for name in self._archive.namelist()
            if PurePosixPath(name).suffix.lower() in EXTENSIONS
            # What macOS adds beside each file.
            and not name.startswith('__MACOSX/')
        )
        # They are written to: none may lead out of the folder.
        for name in names:
            path = PurePosixPath(name)
            if path.is_absolute() or '..' in path.parts or '\\' in name:
                raise ValueError(
                    f'{str(self._path)!r} holds {name!r}, which leads out of '
                    'any folder'
                )
        if not names:
            raise ValueError(
                f'{str(self._path)!r} holds no picture '
                f'({", ".join(EXTENSIONS)})'
            )
        return names

    def read(self, name: str) -> bytes:
        """Read the bytes of a file."""
        return self._archive.read(name)


class LmdbSource:
    """Pictures in an lmdb, as LSUN is published.

    Yu et al., "LSUN: Construction of a Large-scale Image Dataset using Deep
    Learning with Humans in the Loop", 2015. Keys are hexadecimal numbers;
    names are those with a folder for the first two digits, since a folder of
    three million files is slow.
    """

    def __init__(self, path: Path) -> None:
        try:
            import lmdb
        except ImportError as error:
            raise ImportError(
                f'{str(path)!r} is an lmdb, and the package that reads it is '
                'not installed: pip install lmdb'
            ) from error
        self._path = path
        self._env: Any = lmdb.open(
            str(path), readonly=True, lock=False, readahead=False
        )

    def names(self) -> list[str]:
        """Return ``ab/abcdef`` for a key ``abcdef``, in the order of keys."""
        with self._env.begin() as transaction:
            keys = [
                bytes(key).decode('ascii', 'backslashreplace')
                for key in transaction.cursor().iternext(values=False)
            ]
        odd = [key for key in keys if not key.isalnum()]
        if odd:
            raise ValueError(
                f'{str(self._path)!r} has keys that are no names of files, '
                f'such as {odd[0]!r}'
            )
        if not keys:
            raise ValueError(f'{str(self._path)!r} holds nothing')
        return [f'{key[:2]}/{key}' for key in keys]

    def read(self, name: str) -> bytes:
        """Read the bytes of a file."""
        with self._env.begin() as transaction:
            return bytes(transaction.get(PurePosixPath(name).name.encode()))


def open_source(path: Path) -> Source:
    """Open a folder, a zip archive or an lmdb.

    Args:
        path (Path): Its path; an lmdb is a folder with ``data.mdb`` in it.

    Returns:
        Source: To list and to read it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is a file, but no zip archive.
        ImportError: If it is an lmdb, and ``lmdb`` is not installed.
    """
    if not path.exists():
        raise FileNotFoundError(f'{str(path)!r} does not exist')
    if (path / 'data.mdb').is_file():
        return LmdbSource(path)
    if path.is_dir():
        return FolderSource(path)
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f'{str(path)!r} is neither a folder of pictures, nor a zip '
            'archive, nor the folder of an lmdb'
        )
    return ZipSource(path)
