"""Files that are there whole, or not at all."""

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

TEMPORARY = '.tmp'
"""How files end that are being written."""


@register_backend('mmamp.atomic')
class AtomicLocalBackend(LocalBackend):
    """MMEngine's local files, written atomically.

    A file is written under another name, flushed to the disk and renamed: a
    process that is killed at any moment leaves the old file or the new one,
    never a part.

    Examples:
        >>> default_hooks = dict(
        ...     checkpoint=dict(
        ...         type='CheckpointHook',
        ...         backend_args=dict(backend='mmamp.atomic')))
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to a file.

        Args:
            obj (bytes): What to write.
            filepath (str or Path): Its path; folders are made.
        """
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(temporary_name(path.name))
        temporary.write_bytes(obj)
        replace_durably(temporary, path)

    def put_text(
        self, obj: str, filepath: str | Path, encoding: str = 'utf-8'
    ) -> None:
        """Write text to a file; see :meth:`put`."""
        self.put(obj.encode(encoding), filepath)


def temporary_name(name: str) -> str:
    """Return the name of a file while it is being written."""
    return f'.{name}{TEMPORARY}'


def replace_durably(written: Path, path: Path) -> None:
    """Give a file that was written its name, once it is on the disk.

    Args:
        written (Path): The file.
        path (Path): Its name in the same folder; what has it is replaced.
    """
    with open(written, 'rb') as file:
        os.fsync(file.fileno())
    os.replace(written, path)
    _sync_folder(path.parent)


def remove_leftovers(folder: str) -> None:
    """Remove what a killed process was writing.

    Args:
        folder (str): Where its files went.
    """
    for path in Path(folder).glob(f'.*.pth{TEMPORARY}'):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Have the new names in a folder reach the disk, too."""
    if os.name == 'posix':
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
