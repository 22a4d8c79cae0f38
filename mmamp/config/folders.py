"""Paths in a folder, and in another one instead, as configs write them."""

import os
from pathlib import PurePath


def is_in(path: str, folder: str) -> bool:
    """Tell whether a path is a folder or below it, by its name.

    Args:
        path (str): Of a file or a folder, which need not exist.
        folder (str): ``'data/'`` is ``'data'``; ``''``, ``'.'``, ``'..'`` and
            ``'/'`` have nothing in them, since every path would be.
    """
    place = _normal(folder)
    return place.name not in ('', '..') and _normal(path).is_relative_to(place)


def moved(path: str, old: str, new: str) -> str:
    """Return a path in one folder as the same one in another.

    Args:
        path (str): In ``old``.
        old (str): A folder.
        new (str): Another, left as it is written: it may be a store's.
    """
    below = _normal(path).relative_to(_normal(old))
    return os.path.join(new, below) if below.parts else new


def _normal(path: str) -> PurePath:
    return PurePath(os.path.normpath(path))
