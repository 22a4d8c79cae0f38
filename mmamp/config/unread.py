"""Options of a command line that change what nothing reads."""

import logging
import shlex
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmamp.compat.mmengine import raw

from . import folders
from .known_keys import known_keys

_NONE = object()


def keys_that_end_in(cfg: Config, name: str) -> list[str]:
    """List the keys below the top that have a name as their last part.

    Args:
        cfg (Config): The config.
        name (str): Such as ``'max_iters'``.
    """
    return [
        key
        for key, _ in values(_read(cfg))
        if '.' in key and key.rpartition('.')[2] == name
    ]


def warn_of_unread(cfg: Config, options: dict[str, Any]) -> None:
    """Warn of options whose key is a variable of the config's own.

    What the file has made of it, such as the folder of a dataset, has its
    value already, and is named.

    Args:
        cfg (Config): The config, before the options are merged.
        options (dict): Dotted keys and their values.
    """
    for key, value in options.items():
        top = key.partition('.')[0]
        if top in known_keys() or top not in cfg:
            continue
        places = _places(cfg, key, value)
        meant = {k: v for k, v in places.items() if k not in options}
        if places and not meant:
            continue
        print_log(
            f'--cfg-options: {key}={_text(value)} changes nothing: nothing '
            f'reads {top!r} once the config file has been read{_way(meant)}',
            logger='current',
            level=logging.WARNING,
        )


def _way(meant: dict[str, tuple[Any, Any]]) -> str:
    """Say where the old values stand, and what would change them."""
    if not meant:
        return ''
    old = ', '.join(f'{key}={_text(old)}' for key, (old, _) in meant.items())
    new = ' '.join(f'{k}={_text(v)}' for k, (_, v) in meant.items())
    return f', and {old} {"stay" if len(meant) > 1 else "stays"}; give {new}'


def _places(cfg: Config, key: str, new: Any) -> dict[str, tuple[Any, Any]]:
    """Find what has the value of a variable: the old one there, and the new.

    Either all of the variable, or the part of it that the key leads to.
    """
    top, *rest = key.split('.')
    part: Any = raw(cfg, top)
    others = _read(cfg)
    at = ''
    while rest and isinstance(part, dict | list | tuple):
        found = [k for k, v in values(others) if v == part] if part else []
        part, at = _child(part, rest[0]), '.'.join(rest)
        if found:
            old = _below(part, rest[1:])
            return {f'{k}.{at}': (old, new) for k in found}
        rest.pop(0)
    if rest or part is _NONE:
        return {}
    name = key.rpartition('.')[2]
    return {
        k: (v, _replaced(v, part, new))
        for k, v in values(others)
        if _is_of(v, part, k.rpartition('.')[2] == name)
    }


def _read(cfg: Config) -> dict[str, Any]:
    """Return what something reads of a config."""
    return {name: raw(cfg, name) for name in cfg if name in known_keys()}


def _is_of(value: Any, variable: Any, same_name: bool) -> bool:
    """Tell whether a value was made of a variable."""
    if isinstance(variable, str):
        if not isinstance(value, str) or not variable:
            return False
        return value == variable or folders.is_in(value, variable)
    if isinstance(variable, dict | list | tuple):
        return bool(variable) and bool(value == variable)
    # Numbers are equal by chance.
    return same_name and type(value) is type(variable) and value == variable


def _replaced(value: Any, old: Any, new: Any) -> Any:
    if isinstance(value, str) and folders.is_in(value, old):
        return folders.moved(value, old, str(new))
    return new


def values(node: Any, at: str = '') -> Iterator[tuple[str, Any]]:
    """Yield all values below a node, as they are stored: imports stay lazy.

    Args:
        node (Any): A config or a part of it.
        at (str): Its key. Defaults to ''.

    Yields:
        tuple: The dotted key, and the value.
    """
    if isinstance(node, dict):
        children = [(str(key), dict.get(node, key)) for key in node]
    elif isinstance(node, list | tuple):
        children = [(str(i), value) for i, value in enumerate(node)]
    else:
        return
    for name, value in children:
        key = f'{at}.{name}'.lstrip('.')
        yield key, value
        yield from values(value, key)


def _child(node: Any, name: str) -> Any:
    if isinstance(node, dict):
        return dict.get(node, name, _NONE)
    if isinstance(node, list | tuple) and name.isdecimal():
        return node[int(name)] if int(name) < len(node) else _NONE
    return _NONE


def _below(node: Any, names: list[str]) -> Any:
    for name in names:
        node = _child(node, name)
    return None if node is _NONE else node


def _text(value: Any) -> str:
    """Write a value as a command line has it."""
    text = value if isinstance(value, str) else repr(value).replace(' ', '')
    return shlex.quote(text)
