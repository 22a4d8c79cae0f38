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
        temporary = path.with_name(f'.{path.name}{TEMPORARY}')
        with open(temporary, 'wb') as file:
            file.write(obj)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)

    def put_text(
        self, obj: str, filepath: str | Path, encoding: str = 'utf-8'
    ) -> None:
        """Write text to a file; see :meth:`put`."""
        self.put(obj.encode(encoding), filepath)


def remove_leftovers(folder: str) -> None:
    """Remove what a killed process was writing.

    Args:
        folder (str): Where its files went.
    """
    for path in Path(folder).glob(f'.*.pth{TEMPORARY}'):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """The new name has to reach the disk too."""
    if os.name == 'posix':
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
