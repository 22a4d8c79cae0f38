"""Configs from their files, with the options of a command line."""

import ast
import difflib
import logging
import re
from pathlib import Path
from traceback import extract_tb, walk_tb
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmamp.errors import UsageError
from mmamp.utils.suggest import arguments_of, suggest_file

from .data_root import follow_bases, moved
from .known_keys import DEFAULT_HOOKS, known_keys, warn_of_misspelt
from .options import is_path_with_commas, split
from .packages import config_file
from .unread import keys_that_end_in, warn_of_unread

_SHOWN = 3
"""Keys that are suggested at most."""


def load_config(path: str) -> Config:
    """Read a config file.

    Args:
        path (str): Its path, or ``'package::path'``, such as
            ``'mmamp::dcgan/dcgan_digits-32x32.py'``.

    Returns:
        Config: Parsed, with its ``_base_`` files.

    Raises:
        UsageError: If there is no such file, or it cannot be parsed.
    """
    try:
        file = config_file(path)
    except ValueError as error:
        raise UsageError(f'config file {error}') from None
    if file.is_dir():
        raise UsageError(f'config file {path!r} is a folder')
    if not file.is_file():
        raise UsageError(
            f'config file {path!r} does not exist'
            f'{suggest_file(file, _is_config)}'
        )
    try:
        cfg = Config.fromfile(str(file))
        follow_bases(cfg, file)
    except Exception as error:
        # A config is a program: it can raise anything.
        raise UsageError(
            f'config file {path!r} cannot be read: '
            f'{type(error).__name__}: {_text(error)}{_place(error, file)}'
            f'{_missing(error) or _cause(error)}'
        ) from error
    if not len(cfg):
        raise UsageError(f'config file {path!r} holds no settings')
    warn_of_misspelt(cfg, path)
    return cfg


def _is_config(path: Path) -> bool:
    """Tell whether a file of Python's is a config, by what it sets."""
    try:
        body = ast.parse(path.read_text()).body
    except (SyntaxError, ValueError, OSError):
        return False
    names = {
        name.id
        for statement in body
        for name in ast.walk(statement)
        if isinstance(name, ast.Name)
        and isinstance(statement, ast.Assign | ast.With)
    }
    return bool(names & {*known_keys(), '_base_', 'read_base'})


def _text(error: Exception) -> str:
    # That of a syntax error goes on with a file that has no name.
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return ' '.join(text.split())


def _place(error: Exception, file: Path) -> str:
    """Name the file and the line of a config that an error is about.

    MMEngine parses a text, of which Python knows no name.
    """
    frames = list(walk_tb(error.__traceback__))
    if isinstance(error, SyntaxError):
        # A base may have it.
        names = [
            frame.f_locals['filename']
            for frame, _ in frames
            if frame.f_globals.get('__name__') == Config.__module__
            and 'filename' in frame.f_locals
        ]
        name = names[-1] if names else file
        line, code = error.lineno, (error.text or '').strip()
        return f' ({name}, line {line}{f": {code}" if code else ""})'
    for frame, line in reversed(frames):
        if '__name__' not in frame.f_globals:  # which modules have
            return f' ({frame.f_code.co_filename}, line {line})'
    return ''


def _missing(error: Exception) -> str:
    """Name what may have been meant by a base that is not there."""
    if not isinstance(error, FileNotFoundError):
        return ''
    found = re.search(r"""["'](.*\.py)["']""", str(error))
    return suggest_file(Path(found[1]), _is_config) if found else ''


def _cause(error: BaseException) -> str:
    """Say what is behind an error, which MMEngine may not."""
    root = error
    while (behind := root.__cause__ or root.__context__) not in (None, root):
        root = behind
    if root is error or isinstance(error, SyntaxError):
        return ''
    text = f'; the cause is {type(root).__name__}: {root}'
    for frame in reversed(extract_tb(root.__traceback__)):
        if not frame.filename.startswith('<frozen '):
            return f'{text} ({frame.filename}, line {frame.lineno})'
    return text


def merge_options(cfg: Config, options: dict[str, Any]) -> None:
    """Replace settings of a config, in place.

    A key that the config does not have yet is set, as everywhere in MMEngine,
    but with a warning that names those it may have been meant for, unless
    every config may have it. So is one that nothing reads.

    Args:
        cfg (Config): The config.
        options (dict): Dotted keys and their values.

    Raises:
        UsageError: If a key leads into something that has no keys.
    """
    options = dict(moved(cfg, options))
    for key, value in options.items():
        _warn_unknown(cfg, key)
        if isinstance(value, str) and is_path_with_commas(value):
            options[key] = _path_or_list(cfg, key, value)
    warn_of_unread(cfg, options)
    try:
        cfg.merge_from_dict(options)
    except Exception as error:
        raise UsageError(f'--cfg-options: {error}') from error


def _path_or_list(cfg: Config, key: str, value: str) -> Any:
    """Take a text with commas for what the config has at its place."""
    node: Any = cfg
    for part in key.split('.'):
        node = node.get(part) if hasattr(node, 'get') else None
    if isinstance(node, (list, tuple)):
        return split(value)
    print_log(
        f'--cfg-options: {key}={value} is one text; {key}=[{value}] would be '
        'a list',
        logger='current',
    )
    return value


def _warn_unknown(cfg: Config, key: str) -> None:
    node: Any = cfg
    for i, part in enumerate(parts := key.split('.')):
        if not hasattr(node, 'keys'):
            return
        if part not in node:
            known = ('_delete_',) if i else known_keys()
            if parts[:i] == ['default_hooks']:
                known += DEFAULT_HOOKS
            if part in known or _takes(node, part):
                return
            above = '.'.join(parts[:i]) or 'the config'
            names = dict.fromkeys([*map(str, node.keys()), *known])
            close = difflib.get_close_matches(part, names)
            if not i:
                close = keys_that_end_in(cfg, key)[:_SHOWN] or close
            hint = f'; did you mean {" or ".join(close)}?' if close else ''
            unread = ', and nothing reads it' if not i else ''
            print_log(
                f'--cfg-options: {above} had no {part!r}, which is new '
                f'now{unread}{hint}',
                logger='current',
                level=logging.WARNING,
            )
            return
        node = node[part]


def _takes(node: Any, name: str) -> bool:
    """Tell whether what a dict of a config builds has such an argument."""
    import mmengine.registry as registries  # which comes with torch

    # MMEngine's default of a wrapper; mmamp's takes what that does, and more.
    default = 'AmpOptimWrapper' if 'optimizer' in node else None
    kind = node.get('type', default)
    found: Any = kind if isinstance(kind, type) else None
    for known in vars(registries).values():
        if isinstance(known, registries.Registry) and isinstance(kind, str):
            own = kind if '.' in kind else f'mmamp.{kind}'
            found = found or known.get(own)
    return isinstance(found, type) and name in arguments_of(found)
