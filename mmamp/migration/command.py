"""What the command line of the migration does."""

import argparse
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from rich.console import Console

import mmamp
from mmamp.errors import USAGE, UsageError
from mmamp.utils.consoles import new_console, tracked

from .findings import Outcome, Result
from .parallel import InProcesses, can_fork, without_collection
from .printing import (
    as_json,
    diff,
    print_findings,
    print_groups,
    print_rules,
    print_summary,
)
from .project import Project
from .sources import encode_source, write_source
from .targets import find_targets
from .together import Conversion

KINDS = {'config': 'configs', 'code': 'codes', 'project': 'project'}


def run(args: argparse.Namespace) -> int:
    """Do what a command line says.

    Every file is read and converted before any is written: a config is
    converted on the ground that its bases will be.

    Args:
        args (argparse.Namespace): The command line.

    Returns:
        int: Exit code.

    Raises:
        UsageError: If there is input that cannot be used.
    """
    targets = find_targets(args)
    verification = _verification() if getattr(args, 'verify', 0) else None
    is_single = len(args.paths) == 1 and args.paths[0].is_file()
    conversion = _conversion(args.jobs)
    migrate = getattr(conversion, KINDS[args.kind])
    project = Project(args.target, getattr(args, 'ends_by_hand', False))
    with without_collection():
        results = migrate(tracked(list(targets), 'converting'), project)
    if is_single and results[0].unreadable:
        raise UsageError(f'{results[0].path}: {results[0].unreadable}')
    # Before the old files are written over.
    readable = [x.path for x in results if not x.unreadable]
    verified = []
    if verification:
        verifier = verification.Verifier(results, project)
        verified = [verifier.verify(x) for x in tracked(readable, 'verifying')]
    _write(results, targets)

    if args.json:
        print(as_json(results, verified))
        return _exit_code(results, verified)
    prints = args.output is None and not args.in_place
    shows = prints and (is_single or args.diff)
    if shows:
        _show(results, args.diff)
    console = new_console(stderr=shows)
    _report(console, results, is_single)
    for found in verified:
        if verification and (is_single or not found.is_good):
            verification.print_verification(console, found)
    if prints and not shows:
        console.print('Nothing is written without --in-place or -o.')
    return _exit_code(results, verified)


def _exit_code(results: list[Result], verified: list[Any]) -> int:
    if any(x.unreadable for x in results):
        return USAGE
    is_left = any(x.of(Outcome.TODO) for x in results)
    return int(is_left or not all(x.is_good for x in verified))


def _conversion(jobs: int) -> Conversion:
    if jobs > 1 and not can_fork():
        raise UsageError(f'-j {jobs}: there is one process on this system')
    return InProcesses(jobs) if jobs > 1 else Conversion()


def _verification() -> ModuleType:
    """Import what verifies, which needs PyTorch and MMEngine."""
    try:
        if not hasattr(mmamp, '__version__'):
            # tools/migrate.py has only named the package.
            assert mmamp.__spec__ is not None
            assert mmamp.__spec__.loader is not None
            mmamp.__spec__.loader.exec_module(mmamp)
        from . import verification
    except ImportError as error:
        raise UsageError(f'--verify: {error}') from error
    return verification


def _write(results: list[Result], targets: dict[Path, Path | None]) -> None:
    for result in results:
        target = targets[result.path]
        if target is None or result.unreadable:
            continue
        if target == result.path and not result.is_changed:
            continue
        try:
            write_source(target, result.after, like=result.path)
        except OSError as error:
            raise UsageError(
                f'{str(target)!r} cannot be written: {error.strerror}'
            ) from error


def _show(results: list[Result], as_diff: bool) -> None:
    for result in results:
        if not result.unreadable:
            text = (
                diff(result)
                if as_diff
                else encode_source(result.after, result.path)
            )
            sys.stdout.buffer.write(text)
    sys.stdout.flush()


def _report(console: Console, results: list[Result], is_single: bool) -> None:
    if is_single:
        print_findings(console, results[0], set(Outcome))
    else:
        print_groups(console, results)
    print_rules(console, results)
    if not is_single:
        print_summary(console, results)
    elif not results[0].is_changed:
        console.print('Nothing to rewrite.')
