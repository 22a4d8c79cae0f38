"""What a user may have meant."""

import difflib
import inspect
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

_CLOSE = 20
"""Names of files that are looked at."""
_SHOWN = 3
"""Files that are named."""


def did_you_mean(given: str, valid: Iterable[str]) -> str:
    """Return a question that names what comes close, or nothing.

    Args:
        given (str): What the user wrote.
        valid (Iterable[str]): What could have been meant.
    """
    close = difflib.get_close_matches(given, list(valid))
    return f' Did you mean {" or ".join(map(repr, close))}?' if close else ''


def arguments_of(cls: Any) -> list[str]:
    """List the arguments of a class, and those that its bases take for it.

    Args:
        cls (type): The class.
    """
    found: dict[str, None] = {}
    for base in cls.__mro__:
        if '__init__' not in vars(base):
            continue
        try:
            signature = inspect.signature(base.__init__)
        except ValueError:  # one of C's that does not say
            break
        params = list(signature.parameters.values())[1:]
        named = [p for p in params if p.kind is not p.VAR_POSITIONAL]
        found |= dict.fromkeys(
            p.name for p in named if p.kind is not p.VAR_KEYWORD
        )
        if not any(p.kind is p.VAR_KEYWORD for p in named):
            break
    return list(found)


def suggest_file(
    file: Path, is_meant: Callable[[Path], bool] = lambda path: True
) -> str:
    """Name the files that the user may have meant, for an error.

    Those of its own folder and up to two levels below.

    Args:
        file (Path): Which does not exist.
        is_meant (Callable): Tells whether a file is of the kind that is
            meant. Defaults to all of Python.

    Returns:
        str: ``'; did you mean ...?'``, or nothing.
    """
    folder = file.parent
    if not folder.is_dir() or str(folder) == folder.anchor:
        return ''
    found = (
        path
        for pattern in ('*.py', '*/*.py', '*/*/*.py')
        for path in sorted(folder.glob(pattern))
    )
    names = {
        str(path): path.stem
        for path in islice(found, 5000)
        if not any(
            x[0] == '.' or x == 'site-packages'
            for x in path.relative_to(folder).parts[:-1]
        )
    }
    # Of files that are not meant there may be some that are closer.
    close = difflib.get_close_matches(
        file.stem, dict.fromkeys(names.values()), n=_CLOSE
    )
    paths = [p for stem in close for p, name in names.items() if name == stem]
    near = [path for path in paths if is_meant(Path(path))][:_SHOWN]
    return f'; did you mean {" or ".join(map(repr, near))}?' if near else ''
