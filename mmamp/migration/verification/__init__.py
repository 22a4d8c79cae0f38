"""Whether a converted config trains as the old one did.

The new config is loaded, and its optimizers are built on a stub model; what
they do is compared with what the old one says.
"""

import importlib
import logging
import os
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from mmamp.migration.config import migrate_configs, with_bases
from mmamp.migration.findings import Result
from mmamp.migration.project import Project

from .after import Rates, new_run
from .before import old_optimizers, old_run
from .comparison import Row, compare, sample_points
from .printing import print_verification
from .result import Verification
from .stub import stub_of

__all__ = ['Verification', 'Verifier', 'print_verification', 'verify']


class Verifier:
    """Compares configs, and knows what it has found out of earlier ones.

    Args:
        results (Iterable[Result]): Of the run, whose text is looked at.
            Defaults to none: each config is converted with its bases.
        project (Project, optional): What was known beside the files.
            Defaults to None: nothing.

    Attributes:
        rates (dict[str, dict[int, tuple]]): Learning rates and momenta by
            what leads to them: the configs of a folder have much the same
            schedules, and a long run takes seconds.
    """

    def __init__(
        self, results: Iterable[Result] = (), project: Project | None = None
    ) -> None:
        self.project = project or Project()
        self.rates: Rates = {}
        self.results = {x.path.resolve(): x for x in results}

    def verify(self, path: Path) -> Verification:
        """Compare a 0.x config with what it is converted to.

        Args:
            path (Path): Of the 0.x config, which is not touched.
        """
        found = Verification(path)
        old, problem = _load(path)
        if problem:
            found.problem = f'the config does not load: {problem}'
            return found
        results = self._results(with_bases(path.resolve()))
        with tempfile.TemporaryDirectory() as folder:
            new, problem = _load(_written(results, path, Path(folder)))
        if problem:
            found.problem = f'the result does not load: {problem}'
            return found
        optimizers = old_optimizers(old)
        if not optimizers and not new.get('optim_wrapper'):
            found.notes.append('neither has an optimizer to compare')
            return found
        if not new.get('optim_wrapper'):
            found.problem = 'the result has no optim_wrapper'
            return found
        if not any(result.is_changed for result in results):
            found.notes.append('it is converted already: nothing to compare')
            return found
        found.notes += _import_custom(new)
        try:
            found.rows = self._compared(old, new)
        # A config can name anything, and what it names can raise anything.
        except Exception as error:
            found.problem = f'the optimizers do not build: {_told(error)}'
        return found

    def _results(self, paths: list[Path]) -> list[Result]:
        """Return what a config and its bases have become."""
        if all(x in self.results for x in paths):
            return [replace(self.results[x], path=x) for x in paths]
        return migrate_configs(paths, self.project)

    def _compared(self, old: dict[str, Any], new: dict[str, Any]) -> list[Row]:
        optimizers = old_optimizers(old)
        model = stub_of(optimizers, new['optim_wrapper'])
        probes = {x: getattr(model, x) if x else model for x in optimizers}
        before = old_run(old, probes)
        points = {
            name: sample_points(
                (settings.schedule, settings.momentum), before.iterations
            )
            for name, settings in before.networks.items()
        }
        logger = MMLogger.get_current_instance()
        level = logger.level
        # Of a stub, nothing that the constructors say is of interest.
        logger.setLevel(logging.ERROR)
        scope = new.get('default_scope')
        try:
            with DefaultScope.overwrite_default_scope(scope):
                after = new_run(new, model, points, self.rates)
        finally:
            logger.setLevel(level)
        return compare(before, after, points, self.project.ends_by_hand)


def verify(path: Path) -> Verification:
    """Compare one 0.x config with what it is converted to.

    Args:
        path (Path): Of the 0.x config, which is not touched.
    """
    return Verifier().verify(path)


def _load(path: Path) -> tuple[dict[str, Any], str]:
    """Load a config, or tell why it cannot be loaded."""
    try:
        cfg = Config.fromfile(path, import_custom_modules=False)
        return cfg.to_dict(), ''
    except Exception as error:
        # A config is a program: it can raise anything.
        return {}, _told(error)


def _told(error: Exception) -> str:
    """Put an error in one line; of a long explanation, how it begins."""
    text = str(error.args[0] if isinstance(error, KeyError) else error)
    text = ' '.join(text.split()).partition('. ')[0]
    return f'{type(error).__name__}: {text}'


def _written(results: list[Result], path: Path, folder: Path) -> Path:
    """Put a converted config and its bases, laid out as they were."""
    path = path.resolve()
    root = Path(os.path.commonpath([x.path.parent for x in results]))
    for result in results:
        target = folder / result.path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(result.after, encoding='utf-8')
    return folder / path.relative_to(root)


def _import_custom(cfg: dict[str, Any]) -> list[str]:
    """Import what a config asks for; what is not there is told."""
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    notes = []
    for name in [imports] if isinstance(imports, str) else imports:
        try:
            importlib.import_module(name)
        except ImportError as error:
            notes.append(f'custom import {name!r} is left out: {error}')
    return notes
