"""What a user may have meant."""

import difflib
import inspect
from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any


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


def suggest_file(file: Path) -> str:
    """Name the files that the user may have meant, for an error.

    Those of its own folder and up to two levels below.

    Args:
        file (Path): Which does not exist.

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
    close = difflib.get_close_matches(file.stem, names.values(), n=3)
    paths = [path for path, name in names.items() if name in close][:3]
    return f'; did you mean {" or ".join(map(repr, paths))}?' if paths else ''
