"""Python files: found, read and written as they were."""

import ast
import io
import os
import secrets
import shutil
import tokenize
from codecs import BOM_UTF8
from pathlib import Path

import libcst as cst

from .findings import UnreadableSource


def find_sources(folder: Path) -> list[Path]:
    """Find the Python files in a folder, at any depth.

    Args:
        folder (Path): Where to look. What is hidden is left out, and so is
            ``__pycache__``.

    Returns:
        list[Path]: In order of their names.
    """
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = [x for x in folders if x[0] != '.' and x != '__pycache__']
        found += [
            Path(place, x) for x in names if x[0] != '.' and x[-3:] == '.py'
        ]
    return sorted(found)


def read_source(path: Path) -> str:
    """Read a Python file, with its line ends as they are.

    Args:
        path (Path): Of the file.

    Raises:
        UnreadableSource: If it is not there or is no text.
    """
    try:
        data = path.read_bytes()
        return data.removeprefix(BOM_UTF8).decode(_encoding(data))
    except FileNotFoundError as error:
        raise UnreadableSource(path, 'there is no such file') from error
    except OSError as error:
        raise UnreadableSource(path, error.strerror or str(error)) from error
    except (SyntaxError, UnicodeDecodeError) as error:
        raise UnreadableSource(path, f'no text: {error}') from error


def check_source(path: Path, text: str) -> ast.Module:
    """Parse a file's text as Python does.

    Args:
        path (Path): Of the file, for messages.
        text (str): What is in it.

    Raises:
        UnreadableSource: If it is no Python.
    """
    try:
        return ast.parse(text, str(path))
    except SyntaxError as error:
        where = f'line {error.lineno}: ' if error.lineno else ''
        raise UnreadableSource(path, f'{where}{error.msg}') from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnreadableSource(path, f'no Python: {error}') from error


def parse_source(path: Path, text: str) -> cst.Module:
    """Parse a file's text, with its layout.

    Args:
        path (Path): Of the file, for messages.
        text (str): What is in it.

    Raises:
        UnreadableSource: If it is no Python.
    """
    check_source(path, text)
    return parse_layout(path, text)


def parse_layout(path: Path, text: str) -> cst.Module:
    """Parse what ``check_source`` has found to be Python, with its layout.

    Args:
        path (Path): Of the file, for messages.
        text (str): What is in it.

    Raises:
        UnreadableSource: If it is no Python that LibCST knows.
    """
    try:
        return cst.parse_module(text)
    except (cst.ParserSyntaxError, ValueError, RecursionError) as error:
        raise UnreadableSource(path, f'no Python: {error}') from error


def encode_source(text: str, like: Path) -> bytes:
    """Encode a text as a file is, with the byte-order mark."""
    data = like.read_bytes()
    mark = BOM_UTF8 if data.startswith(BOM_UTF8) else b''
    return mark + text.encode(_encoding(data))


def write_source(path: Path, text: str, like: Path) -> None:
    """Write a Python file whole or, if that fails, not at all.

    Args:
        path (Path): Where to. A link stays a link.
        text (str): What to write.
        like (Path): A file that has the encoding and the mode to keep.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = encode_source(text, like)
    if path.exists() and not path.is_file():
        # A device or a pipe, such as /dev/null, is not to be replaced.
        path.write_bytes(new)
        return
    # Its name is known before it is there, for a Ctrl-C at any moment.
    written = path.with_name(f'.{path.name}.{secrets.token_hex(8)}')
    try:
        with open(written, 'xb', opener=_private) as file:
            file.write(new)
        shutil.copymode(like, written)
        os.replace(written, path)
    except BaseException:
        written.unlink(missing_ok=True)
        raise


def _private(path: str, flags: int) -> int:
    """Open a file for nobody else, until it has its mode."""
    return os.open(path, flags, 0o600)


def _encoding(data: bytes) -> str:
    """Return the encoding that a file declares, or UTF-8; without a mark."""
    name, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    return name.removesuffix('-sig')
