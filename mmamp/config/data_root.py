"""Where the data are, said once: ``data_root`` at the top of a config."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmamp.compat.mmengine import raw

from . import folders
from .packages import config_file
from .unread import values

KEY = 'data_root'


def moved(cfg: Config, options: dict[str, Any]) -> dict[str, Any]:
    """Return options that have all paths follow another ``data_root``.

    MMEngine has read the paths of a config with the ``data_root`` of its
    file; one that is set later would change nothing.

    Args:
        cfg (Config): The config, without the options.
        options (dict): Dotted keys and their values.

    Returns:
        dict: The options and, before them, the keys of paths that are the
        config's ``data_root``, or below it, in the other one.
    """
    new = options.get(KEY)
    if not isinstance(new, str):
        return options
    return {**_in(cfg, cfg.get(KEY), new), **options}


def follow_bases(cfg: Config, file: Path) -> None:
    """Have paths of bases follow the ``data_root`` that a config file sets.

    One that reads it too has put it where it belongs, and means what it has
    left as it was.

    Args:
        cfg (Config): As the file reads, changed in place.
        file (Path): Of the config.
    """
    new = cfg.get(KEY)
    if not isinstance(new, str) or file.suffix != '.py':
        return
    for base in _bases(file):
        old = Config.fromfile(str(base)).get(KEY)
        if old != new:
            cfg.merge_from_dict(_in(cfg, old, new))


def _bases(file: Path) -> Iterator[Path]:
    """Yield the bases of a file that sets ``data_root``, and no more."""
    tree = ast.parse(file.read_text(encoding='utf-8'))
    values = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    is_read = any(
        isinstance(node, ast.Name)
        and node.id == KEY
        and isinstance(node.ctx, ast.Load)
        for node in ast.walk(tree)
    )
    if KEY not in values or '_base_' not in values or is_read:
        return
    try:
        bases = ast.literal_eval(values['_base_'])
    except ValueError:
        return  # of variables
    for base in [bases] if isinstance(bases, str) else bases:
        yield file.parent / config_file(base)


def _in(cfg: Config, old: Any, new: str) -> dict[str, str]:
    """Return the paths in a folder as paths in another one, by their keys."""
    if not isinstance(old, str):
        return {}
    found = {
        key: folders.moved(path, old, new)
        for key, path in values({name: raw(cfg, name) for name in cfg})
        if '.' in key and isinstance(path, str) and folders.is_in(path, old)
    }
    if found:
        print_log(
            f'{KEY}={new!r}, not {old!r}, in {", ".join(found)}',
            logger='current',
        )
    return found
