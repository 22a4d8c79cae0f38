"""Configs and modules of one project, each on the ground of the others."""

import ast
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from .code import migrate_code
from .config import Files, migrate_files
from .config.inheritance import NEW_NAMES, OLD_NAMES
from .config.values import Value
from .config.wrappers import NOT_ENTRIES, is_several
from .findings import Result, UnreadableSource
from .project import GRAD, Project, Wrappers
from .sources import read_source

OF_CONFIGS = OLD_NAMES | NEW_NAMES | {'_base_', 'model', 'data', 'runner'}


class Conversion:
    """Converts files in this process.

    Attributes:
        wrappers (dict[str, set[Wrappers]]): What the configs have as
            ``optim_wrapper``, by their models.
    """

    def __init__(self) -> None:
        self.wrappers: dict[str, set[Wrappers]] = {}

    def configs(self, paths: Iterable[Path], project: Project) -> list[Result]:
        """Convert configs, and see what wrappers their models have."""
        files = Files(project)
        results = migrate_files(files, paths)
        self.wrappers = wrappers_of(files)
        return results

    def codes(self, paths: Iterable[Path], project: Project) -> list[Result]:
        """Convert modules."""
        return migrate_codes(paths, project)

    def project(self, paths: Iterable[Path], project: Project) -> list[Result]:
        """Convert what belongs together: configs, and the classes they name.

        Args:
            paths (Iterable[Path]): Of the files, none of which is touched.
            project (Project): What is known of it beforehand.

        Returns:
            list[Result]: One a file, in order.
        """
        paths = list(paths)
        configs = [x for x in paths if is_config(x)]
        modules = [x for x in paths if x not in set(configs)]
        project = replace(project, classes=classes_of(modules))
        results = {x.path: x for x in self.configs(configs, project)}
        project = replace(project, wrappers=self.wrappers)
        results |= {x.path: x for x in self.codes(modules, project)}
        return [results[x] for x in paths]


def migrate_project(paths: Iterable[Path], project: Project) -> list[Result]:
    """Convert configs and modules that belong together, in this process.

    Args:
        paths (Iterable[Path]): Of the files, none of which is touched.
        project (Project): What is known of it beforehand.

    Returns:
        list[Result]: One a file, in order.
    """
    return Conversion().project(paths, project)


def migrate_codes(paths: Iterable[Path], project: Project) -> list[Result]:
    """Convert modules.

    Args:
        paths (Iterable[Path]): Of the files, none of which is touched.
        project (Project): What is known of the project beside them.

    Returns:
        list[Result]: One a file, in order.
    """
    results = []
    for path in paths:
        try:
            text = read_source(path)
            results.append(migrate_code(text, path, project))
        except UnreadableSource as error:
            results.append(Result(path, '', '', unreadable=error.reason))
    return results


def is_config(path: Path) -> bool:
    """Tell whether a file is a config: settings at its top, and no class."""
    tree = _parsed(path)
    if tree is None or any(isinstance(x, ast.ClassDef) for x in tree.body):
        return False
    names = {
        target.id
        for x in tree.body
        if isinstance(x, ast.Assign)
        for target in x.targets
        if isinstance(target, ast.Name)
    }
    return bool(names & OF_CONFIGS)


def classes_of(paths: Iterable[Path]) -> dict[str, set[str]]:
    """Return the classes that modules define, and the names of their bases."""
    found: dict[str, set[str]] = {}
    for path in paths:
        for node in ast.walk(_parsed(path) or ast.Module([], [])):
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(x).rpartition('.')[2] for x in node.bases}
                found.setdefault(node.name, set()).update(bases)
    return found


def _parsed(path: Path) -> ast.Module | None:
    try:
        return ast.parse(read_source(path))
    except (UnreadableSource, SyntaxError, ValueError, RecursionError):
        return None


def wrappers_of(files: Files) -> dict[str, set[Wrappers]]:
    """Return what configs have as ``optim_wrapper``, by their models."""
    found: dict[str, set[Wrappers]] = {}
    for whole in files.seen.values():
        kind = whole.new.child('model')
        name = None if kind is None else kind.get('type')
        wrapper = whole.new.child('optim_wrapper')
        if isinstance(name, str) and wrapper is not None and wrapper.is_dict:
            last = name.rpartition('.')[2]
            found.setdefault(last, set()).add(_kind_of(wrapper))
    return found


def _kind_of(wrapper: Value) -> Wrappers:
    if not is_several(wrapper):
        return Wrappers(True, wrapper.get('type') in GRAD)
    entries = wrapper.without(*NOT_ENTRIES).children
    return Wrappers(False, all(x.get('type') in GRAD for x in entries))
