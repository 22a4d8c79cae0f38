"""Which files a command line names, and where each goes."""

import argparse
import os
from pathlib import Path

from mmamp.errors import UsageError
from mmamp.utils.suggest import suggest_file

from .sources import find_sources


def find_targets(args: argparse.Namespace) -> dict[Path, Path | None]:
    """Find the files to migrate, and where each is written.

    Args:
        args (argparse.Namespace): What the command line says.

    Returns:
        dict[Path, Path | None]: In order; to None what is not written.

    Raises:
        UsageError: If a path is not there, or two files would be one.
    """
    places: dict[Path, Path] = {}
    known: set[Path] = set()
    for path in args.paths:
        for source, place in _found(path, len(args.paths) > 1).items():
            if (resolved := source.resolve()) not in known:
                known.add(resolved)
                places[source] = place
    if args.in_place:
        return {source: source for source in places}
    if args.output is None:
        return dict.fromkeys(places)
    return _outputs(args, places)


def _found(path: Path, is_one_of_many: bool) -> dict[Path, Path]:
    """Return a path's files, and their places in an output folder."""
    if path.is_dir():
        sources = find_sources(path)
        if not sources:
            raise UsageError(f'there are no Python files in {str(path)!r}')
        root = path.resolve().parent if is_one_of_many else path.resolve()
        return {x: x.resolve().relative_to(root) for x in sources}
    if not path.exists():
        raise UsageError(f'{str(path)!r} does not exist{suggest_file(path)}')
    if path.suffix != '.py':
        raise UsageError(f'{str(path)!r} is no Python file (*.py)')
    return {path: Path(path.name)}


def _outputs(
    args: argparse.Namespace, places: dict[Path, Path]
) -> dict[Path, Path | None]:
    if not args.output:
        raise UsageError("-o '' names no file or folder")
    output = Path(args.output)
    is_file = len(args.paths) == 1 and args.paths[0].is_file()
    if is_file and not (output.is_dir() or args.output[-1:] in ('/', os.sep)):
        targets = {args.paths[0]: output}
    else:
        _check_folder(output, args.paths)
        targets = {source: output / x for source, x in places.items()}
    inputs = {x.resolve() for x in places}
    taken: dict[Path, Path] = {}
    for source, target in targets.items():
        if target.resolve() in inputs:
            raise UsageError(
                f'-o would write over {str(target)!r}, which is to be '
                'converted; --in-place rewrites the files themselves'
            )
        other = taken.setdefault(target.resolve(), source)
        if other != source:
            raise UsageError(
                f'both {str(other)!r} and {str(source)!r} would become '
                f'{str(target)!r}'
            )
    return dict(targets)


def _check_folder(output: Path, paths: list[Path]) -> None:
    if output.suffix == '.py' or (output.exists() and not output.is_dir()):
        raise UsageError(
            f'-o {str(output)!r} is one file; for several files it has to '
            'be a folder'
        )
    for path in paths:
        inside = path.resolve() in output.resolve().parents
        if path.is_dir() and inside:
            raise UsageError(
                f'-o {str(output)!r} is inside of {str(path)!r}, which is to '
                'be converted'
            )
