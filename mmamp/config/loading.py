"""Configs from their files, with the options of a command line."""

import difflib
import logging
from traceback import extract_tb
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmamp.errors import UsageError
from mmamp.utils.suggest import arguments_of, suggest_file

from .data_root import follow_bases, moved
from .known_keys import known_keys, warn_of_misspelt
from .options import is_path_with_commas, split
from .packages import config_file


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
            f'config file {path!r} does not exist{suggest_file(file)}'
        )
    try:
        cfg = Config.fromfile(str(file))
        follow_bases(cfg, file)
    except Exception as error:
        # A config is a program: it can raise anything.
        raise UsageError(
            f'config file {path!r} cannot be read: '
            f'{type(error).__name__}: {" ".join(str(error).split())}'
            f'{_cause(error)}'
        ) from error
    warn_of_misspelt(cfg, path)
    return cfg


def _cause(error: BaseException) -> str:
    """Say what is behind an error, which MMEngine may not."""
    root = error
    while (behind := root.__cause__ or root.__context__) not in (None, root):
        root = behind
    if root is error:
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
    every config may have it.

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
            if part in known or _takes(node, part):
                return
            above = '.'.join(parts[:i]) or 'the config'
            names = dict.fromkeys([*map(str, node.keys()), *known])
            close = difflib.get_close_matches(part, names)
            hint = f'; did you mean {" or ".join(close)}?' if close else ''
            print_log(
                f'--cfg-options: {above} had no {part!r}, which is new '
                f'now{hint}',
                logger='current',
                level=logging.WARNING,
            )
            return
        node = node[part]


def _takes(node: Any, name: str) -> bool:
    """Tell whether what a dict of a config builds has such an argument."""
    import mmengine.registry as registries  # which comes with torch

    kind = node.get('type')
    found: Any = kind if isinstance(kind, type) else None
    for known in vars(registries).values():
        if isinstance(known, registries.Registry) and isinstance(kind, str):
            own = kind if '.' in kind else f'mmamp.{kind}'
            found = found or known.get(own)
    return isinstance(found, type) and name in arguments_of(found)
