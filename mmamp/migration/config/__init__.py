"""Configs from 0.x to 1.x.

A config is read without being run (``reading``) into values that know where
they are written (``values``); rules turn the whole of it, bases included,
into what it is in 1.x (``rules``, one a file); and of that the file is made
to say what its bases do not (``writing``), but for what two bases of one would
both say (``layout``).
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mmamp.migration.findings import Result, UnreadableSource
from mmamp.migration.project import Project

from .files import Files

__all__ = [
    'Files',
    'UnreadableSource',
    'migrate_config',
    'migrate_configs',
    'migrate_files',
    'with_bases',
]


def migrate_config(path: Path, project: Project | None = None) -> Result:
    """Convert one config file.

    Its bases are read and not written: each is to be migrated too, before or
    after, and what the file has to say is found on the ground that they are.

    Args:
        path (Path): Of the file, which is not touched.
        project (Project, optional): What is known beside it. Defaults to
            None: nothing.

    Returns:
        Result: The new text, and what is to say.

    Raises:
        UnreadableSource: If the file is not there or is no Python.
    """
    files = Files(project or Project())
    files.source(path)
    files.lay_out([path])
    return files.migrate(path)


def migrate_configs(
    paths: Iterable[Path], project: Project | None = None
) -> list[Result]:
    """Convert config files, each on the ground that its bases are converted.

    Args:
        paths (Iterable[Path]): Of the files, none of which is touched. Where
            two bases of one would say the same, and both are among them, one
            of the two leaves it to the other or to those that inherit it.
        project (Project, optional): What is known beside them. Defaults to
            None: nothing.

    Returns:
        list[Result]: One a file, in order. One that cannot be read says so in
        ``unreadable``.
    """
    return migrate_files(Files(project or Project()), paths)


def migrate_files(files: Files, paths: Iterable[Path]) -> list[Result]:
    """Convert config files, which ``files`` will know from then on.

    Args:
        files (Files): That has read none of them yet.
        paths (Iterable[Path]): Of the files.

    Returns:
        list[Result]: As of ``migrate_configs``.
    """
    unreadable: dict[Path, str] = {}
    found = []
    for path in paths:
        found.append(path)
        try:
            files.whole(path)
        except UnreadableSource as error:
            unreadable[path] = error.reason
    files.lay_out(x for x in found if x not in unreadable)
    return [
        Result(path, '', '', unreadable=unreadable[path])
        if path in unreadable
        else files.migrate(path)
        for path in found
    ]


def with_bases(path: Path) -> list[Path]:
    """Find all that a config file inherits from.

    Args:
        path (Path): Of the file.

    Returns:
        list[Path]: Resolved, the file first; without what cannot be read.
    """
    files, found, left = Files(Project()), [], [path.resolve()]
    while left:
        path = left.pop()
        if path in found:
            continue
        try:
            source = files.source(path)
        except UnreadableSource:
            continue
        found.append(path)
        left += [(path.parent / name).resolve() for name in source.bases]
    return found
