"""Where in a config a path stands."""

import re
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from mmamp.config.data_root import KEY as DATA_ROOT

_AROUND = dict(dataset='mmamp.SeededDataset', sampler='mmamp.SeededSampler')
"""What the launcher puts around a part of the user's."""


def keys_of_paths(cfg: Any, text: str) -> list[str]:
    """Keys whose paths a message names, or has joined with something.

    Args:
        cfg (Config): The config. What stands at its top is left out: most of
            it are names that the config itself uses further down. But
            ``data_root`` stands first, since all of them follow it.
        text (str): The message; paths are in quotes.

    Returns:
        list[str]: As ``--cfg-options`` takes them, such as
        ``train_dataloader.dataset.data_root``.
    """
    paths = [PurePath(path) for path in re.findall(r"'([^']+)'", text)]
    named = {*paths, *(parent for path in paths for parent in path.parents)}
    # A parent of every path, and no path of its own.
    named -= {PurePath('.'), PurePath('/')}
    return [
        key
        for key, value in _strings(cfg)
        if ('.' in key or key == DATA_ROOT) and PurePath(value) in named
    ]


def keys_of(cfg: Any, value: Any) -> list[str]:
    """Keys below which a config has a dict.

    Args:
        cfg (Config or None): The config.
        value (dict or None): The dict, which may be a copy.

    Returns:
        list[str]: As ``--cfg-options`` takes them, such as
        ``default_hooks.logger``.
    """
    if value is None:
        return []
    return [key for key, node in _nodes(cfg) if node == value]


def keys_of_type(cfg: Any, name: str) -> list[str]:
    """Keys whose value is the name of a type.

    Args:
        cfg (Config or None): The config.
        name (str): The name.

    Returns:
        list[str]: Such as ``optim_wrapper.optimizer.type``.
    """
    return [
        key
        for key, value in _strings(cfg)
        if value == name and key.endswith(('.type', '.constructor'))
    ]


def _nodes(node: Any, at: str = '') -> Iterator[tuple[str, Any]]:
    """All dicts below, each with its key."""
    if isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _nodes(value, f'{at}.{i}')
    elif hasattr(node, 'items'):
        yield at, node
        for name, value in node.items():
            yield from _nodes(value, f'{at}.{name}'.lstrip('.'))


def _strings(node: Any, at: str = '') -> Iterator[tuple[str, str]]:
    """All strings below, each with its key."""
    if isinstance(node, str):
        yield at, node
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _strings(value, f'{at}.{i}')
    elif hasattr(node, 'items'):
        for name, value in node.items():
            is_around = name in _AROUND and node.get('type') == _AROUND[name]
            key = at if is_around else f'{at}.{name}'.lstrip('.')
            yield from _strings(value, key)
