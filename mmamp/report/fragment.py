"""The rules as a config that inherits from the user's."""

import os
import pprint
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config

from .trial_config import with_rules

_TEXT = """\
# {title}
# Train it: python tools/train.py {path} --amp --amp-dtype {dtype}
_base_ = [{base!r}]
custom_imports = {imports}
custom_hooks = {hooks}
"""


def write_fragment(
    out: Path,
    config: Path,
    cfg: Config,
    dtype: str,
    rules: list[dict[str, Any]],
) -> Path:
    """Write ``amp_rules.py``: the user's config, and the rules.

    It repeats the config's ``custom_hooks``, since lists of a base are
    replaced, not added to; of a pure-Python config it repeats all.

    Args:
        out (Path): The folder that it goes to.
        config (Path): The user's config.
        cfg (Config): What is in it.
        dtype (str): That needs the rules.
        rules (list[dict]): Of a ``PrecisionHook``.

    Returns:
        Path: Of the file.
    """
    path = out / 'amp_rules.py'
    if Config._is_lazy_import(str(config)):
        # Nothing but its like can inherit from a pure-Python config.
        whole = deepcopy(cfg)
        whole.custom_hooks = with_rules(cfg.get('custom_hooks') or [], rules)
        whole.dump(path)
        return path
    imports = dict(cfg.get('custom_imports') or {})
    names = imports.get('imports', [])
    names = [names] if isinstance(names, str) else list(names)
    imports['imports'] = names + ['mmamp'] * ('mmamp' not in names)
    hooks = with_rules(list(cfg.get('custom_hooks') or []), rules)
    path.write_text(
        _TEXT.format(
            title=f'{config.name} with what {dtype} needs in float32',
            path=path,
            dtype=dtype,
            base=os.path.relpath(config.resolve(), out.resolve()),
            imports=pprint.pformat(imports, sort_dicts=False),
            hooks=pprint.pformat(
                [_plain(hook) for hook in hooks], sort_dicts=False
            ),
        )
    )
    return path


def _plain(value: Any) -> Any:
    """Without the config's own kinds of dicts, and classes by their names."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return value
