"""The rules as a config that inherits from the user's."""

import os
import pprint
from copy import deepcopy
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmamp.compat.mmengine import is_lazy

from .trial_config import with_rules

FRAGMENT = 'amp_rules.py'
"""Its name."""

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
    row: dict[str, Any],
    whole: bool,
) -> Path:
    """Write ``amp_rules.py``: the user's config, and the rules.

    It repeats the config's ``custom_hooks``, since lists of a base are
    replaced, not added to; of a pure-Python config it repeats all.

    Args:
        out (Path): The folder that it goes to.
        config (Path): The user's config.
        cfg (Config): What is in it.
        row (dict): Of the report, of the dtype that needs the rules.
        whole (bool): Whether all is repeated, since options changed it.

    Returns:
        Path: Of the file.
    """
    path, dtype = out / FRAGMENT, row['dtype']
    hooks = with_rules(list(cfg.get('custom_hooks') or []), row['rules'])
    # Nothing but its like can inherit from a pure-Python config.
    if whole or is_lazy(str(config)):
        copy = deepcopy(cfg)
        copy.custom_hooks = hooks
        copy.dump(path)
        return path
    imports = dict(cfg.get('custom_imports') or {})
    names = imports.get('imports', [])
    names = [names] if isinstance(names, str) else list(names)
    imports['imports'] = names + ['mmamp'] * ('mmamp' not in names)
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
    """Make a config's own kinds of dicts plain ones."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return value
