"""Files converted by several processes, as by one.

Each has some of the configs, and reads their bases. What two bases of one
would both say is decided once all are read, and each goes on with its own.
"""

from __future__ import annotations

import gc
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from .config import (
    Files,
    Layout,
    Survey,
    joined,
    survey_files,
    write_files,
)
from .findings import Result
from .project import Project, Wrappers
from .together import Conversion, migrate_codes, wrappers_of


@contextmanager
def without_collection() -> Iterator[None]:
    """Have Python look for no cycles: trees have none, and are large."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def can_fork() -> bool:
    """Tell whether processes can be started that know what this one does."""
    return 'fork' in multiprocessing.get_all_start_methods()


class InProcesses(Conversion):
    """Converts files in several processes.

    Args:
        jobs (int): How many processes.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs
        self.wrappers: dict[str, set[Wrappers]] = {}

    def configs(self, paths: Iterable[Path], project: Project) -> list[Result]:
        """Convert configs, and see what wrappers their models have."""
        chunks = split(list(paths), self.jobs)
        with self._processes(len(chunks)) as call:
            tasks = [(x, project) for x in chunks]
            survey = joined(call(_survey, tasks))
            layout = Layout(survey.parts)
            layout.settle()
            done = call(
                _write,
                [(x, layout.part_for(x), survey.unreadable) for x in chunks],
            )
        for _, wrappers in done:
            for name, found in wrappers.items():
                self.wrappers.setdefault(name, set()).update(found)
        return list(chain.from_iterable(x for x, _ in done))

    def codes(self, paths: Iterable[Path], project: Project) -> list[Result]:
        """Convert modules."""
        chunks = split(list(paths), self.jobs)
        with self._processes(len(chunks)) as call:
            done = call(migrate_codes, [(x, project) for x in chunks])
        return list(chain.from_iterable(done))

    @contextmanager
    def _processes(self, number: int) -> Iterator[Callable[..., list[Any]]]:
        """Yield what calls a function in each process."""
        context = multiprocessing.get_context('fork')
        with ExitStack() as stack:
            pools = [
                stack.enter_context(
                    ProcessPoolExecutor(
                        1, mp_context=context, initializer=_begin
                    )
                )
                for _ in range(number)
            ]

            def call(function: Any, tasks: list[tuple[Any, ...]]) -> list[Any]:
                futures = [
                    pool.submit(function, *task)
                    for pool, task in zip(pools, tasks, strict=True)
                ]
                return [x.result() for x in futures]

            yield call


def split(paths: list[Path], number: int) -> list[list[Path]]:
    """Split files into parts of much the same size, neighbours together.

    Args:
        paths (list[Path]): The files.
        number (int): Of parts; there are no empty ones.
    """
    sizes = [x.stat().st_size if x.is_file() else 0 for x in paths]
    total, sofar = sum(sizes) or 1, 0
    parts: list[list[Path]] = [[] for _ in range(number)]
    for path, size in zip(paths, sizes, strict=True):
        parts[min(sofar * number // total, number - 1)].append(path)
        sofar += size
    return [x for x in parts if x]


# ---- in a process ----------------------------------------------------------

_OWN: list[Files] = []


def _begin() -> None:
    # The one that started it ends it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()


def _survey(paths: list[Path], project: Project) -> Survey:
    _OWN[:] = [Files(project)]
    return survey_files(_OWN[0], paths)


def _write(
    paths: list[Path], layout: Layout, unreadable: dict[Path, str]
) -> tuple[list[Result], dict[str, set[Wrappers]]]:
    results = write_files(_OWN[0], paths, layout, unreadable)
    return results, wrappers_of(_OWN[0])
