"""Configs from 0.x to 1.x.

A config is read without being run (``reading``) into values that know where
they are written (``values``); rules turn the whole of it, bases included,
into what it is in 1.x (``rules``, one a file); and of that the file is made
to say what its bases do not (``writing``), but for what two bases of one would
both say (``layout``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mmamp.migration.findings import Result, UnreadableSource
from mmamp.migration.project import Project

from .files import Files
from .layout import Layout, Part

__all__ = [
    'Files',
    'Layout',
    'Survey',
    'UnreadableSource',
    'joined',
    'migrate_config',
    'migrate_configs',
    'migrate_files',
    'survey_files',
    'with_bases',
    'write_files',
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
    files.layout = Layout(files.parts([path]))
    files.layout.settle()
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
    paths = list(paths)
    survey = survey_files(files, paths)
    layout = Layout(survey.parts)
    layout.settle()
    return write_files(files, paths, layout, survey.unreadable)


class Survey(NamedTuple):
    """What some of the files of a run are.

    Args:
        parts (dict[Path, Part]): What the layout has to know of them.
        unreadable (dict[Path, str]): Why some cannot be read.
    """

    parts: dict[Path, Part]
    unreadable: dict[Path, str]


def survey_files(files: Files, paths: Iterable[Path]) -> Survey:
    """Read and convert config files, before who says what is decided.

    Args:
        files (Files): Which knows them from then on.
        paths (Iterable[Path]): Of the files.
    """
    unreadable: dict[Path, str] = {}
    found = []
    for path in paths:
        try:
            files.whole(path)
            found.append(path)
        except UnreadableSource as error:
            unreadable[path] = error.reason
    return Survey(files.parts(found), unreadable)


def joined(surveys: Iterable[Survey]) -> Survey:
    """Put together what several processes have found.

    Args:
        surveys (Iterable[Survey]): Of the files of each.
    """
    parts: dict[Path, Part] = {}
    unreadable: dict[Path, str] = {}
    for survey in surveys:
        unreadable |= survey.unreadable
        for path, part in survey.parts.items():
            # A base that one has read is written by another.
            written = path in parts and parts[path].is_written
            parts[path] = part
            part.is_written = part.is_written or written
    return Survey(parts, unreadable)


def write_files(
    files: Files,
    paths: Iterable[Path],
    layout: Layout,
    unreadable: Mapping[Path, str],
) -> list[Result]:
    """Write config files anew that have been surveyed.

    Args:
        files (Files): Which knows them.
        paths (Iterable[Path]): Of the files.
        layout (Layout): Of all files of the run.
        unreadable (Mapping[Path, str]): Why some cannot be read.

    Returns:
        list[Result]: As of ``migrate_configs``.
    """
    files.layout = layout
    return [
        Result(path, '', '', unreadable=unreadable[path])
        if path in unreadable
        else files.migrate(path)
        for path in paths
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
