"""The keys at the top of a config, and what comes close to one of them."""

import difflib
import logging
import re
from functools import cache

from mmengine.config import Config
from mmengine.logging import print_log

from mmamp.compat.mmengine import raw, runner_arguments

_BESIDE = (
    # What MMEngine looks for in a config, besides the runners' arguments
    *('runner_type', 'model_wrapper_cfg', 'find_unused_parameters'),
    *('sync_bn', 'custom_imports', 'activation_checkpointing'),
    *('efficient_conv_bn_eval', 'tta_model', 'tta_pipeline'),
    'init_weights_for_test_or_val',
)
DEFAULT_HOOKS = (
    *('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler'),
    *('checkpoint', 'sanity_check'),
)
"""Keys of ``default_hooks`` that are there where a config has none."""
_CLOSE = 0.85
"""How alike two keys are one of which is a mistake: ``difflib``'s ratio."""


@cache
def known_keys() -> tuple[str, ...]:
    """List the keys that mean something to MMEngine or to mmamp."""
    return (*runner_arguments(), *_BESIDE)


def warn_of_misspelt(cfg: Config, path: str) -> None:
    """Warn of keys that nothing reads and that come close to one that is.

    Others are a config's own variables.

    Args:
        cfg (Config): The config.
        path (str): Its file, for the warning.
    """
    known = known_keys()
    for key in cfg:
        # The second of several, which the config's own code puts together.
        is_numbered = re.sub(r'_?\d+$', '', key) in known
        if is_numbered or not (
            close := difflib.get_close_matches(key, known, 1, _CLOSE)
        ):
            continue
        if _is_used(cfg, key):
            continue
        print_log(
            f'{path}: nothing reads the key {key!r}; did you mean {close[0]}?',
            logger='current',
            level=logging.WARNING,
        )


def _is_used(cfg: Config, key: str) -> bool:
    """Tell whether a key is a variable: what it holds is elsewhere too."""
    value = raw(cfg, key)
    if not isinstance(value, dict | list | tuple) or not value:
        return False
    left = [raw(cfg, name) for name in cfg if name != key]
    while left:
        other = left.pop()
        if other == value:
            return True
        if isinstance(other, dict):
            left.extend(dict.values(other))  # its own would import
        elif isinstance(other, list | tuple):
            left.extend(other)
    return False
