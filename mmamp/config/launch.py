"""What the launcher does to a config, ``--amp`` apart."""

import difflib
import logging
from traceback import extract_tb
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import HOOKS as ROOT_HOOKS

from mmamp.near import near

from .amp import evaluation_precision
from .own_class import own_class
from .packages import config_file

HOOKS = ('AmpMonitorHook', 'OverflowHook', 'StateHook', 'PreemptionHook')
"""Hooks that a run started by mmamp's launcher has."""


REPLACED = (
    ('checkpoint', 'CheckpointHook', 'checkpoint_hook'),
    ('runtime_info', 'RuntimeInfoHook', 'runtime_info_hook'),
)
"""MMEngine's default hooks whose place mmamp's take: key, class, module."""


class UsageError(ValueError):
    """A mistake on the command line or in the config, told in one line."""


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
        raise UsageError(f'config file {path!r} does not exist{near(file)}')
    try:
        return Config.fromfile(str(file))
    except Exception as error:
        # A config is a program: it can raise anything.
        raise UsageError(
            f'config file {path!r} cannot be read: '
            f'{type(error).__name__}: {" ".join(str(error).split())}'
            f'{_cause(error)}'
        ) from error


def _cause(error: BaseException) -> str:
    """What is behind an error, which MMEngine's own words may not say."""
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
    but with a warning that names those it may have been meant for.

    Args:
        cfg (Config): The config.
        options (dict): Dotted keys and their values.

    Raises:
        UsageError: If a key leads into something that has no keys.
    """
    for key in options:
        _warn_unknown(cfg, key)
    try:
        cfg.merge_from_dict(options)
    except Exception as error:
        raise UsageError(f'--cfg-options: {error}') from error


def _warn_unknown(cfg: Config, key: str) -> None:
    node: Any = cfg
    for i, part in enumerate(parts := key.split('.')):
        if not hasattr(node, 'keys'):
            return
        if part not in node:
            above = '.'.join(parts[:i]) or 'the config'
            close = difflib.get_close_matches(part, map(str, node.keys()))
            hint = f'; did you mean {" or ".join(close)}?' if close else ''
            print_log(
                f'--cfg-options: {above} had no {part!r}, which is new '
                f'now{hint}',
                logger='current',
                level=logging.WARNING,
            )
            return
        node = node[part]


def enable_auto_scale_lr(cfg: Config) -> None:
    """Switch on the learning-rate scaling that the config prepares.

    Args:
        cfg (Config): The config, changed in place.

    Raises:
        UsageError: If it has no ``auto_scale_lr.base_batch_size``.
    """
    if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
        raise UsageError(
            '--auto-scale-lr: the config has no '
            'auto_scale_lr=dict(base_batch_size=...), the batch size that '
            'its learning rate is meant for'
        )
    cfg.auto_scale_lr.enable = True


def check_constructor(cfg: Config) -> None:
    """Refuse several optimizers that nothing would build.

    Args:
        cfg (Config): The config.

    Raises:
        UsageError: If there is an entry for each network, but no constructor.
    """
    wrapper = cfg.get('optim_wrapper')
    if not isinstance(wrapper, dict) or 'constructor' in wrapper:
        return
    entries = [
        name
        for name, entry in wrapper.items()
        if isinstance(entry, dict) and 'optimizer' in entry
    ]
    if entries and 'optimizer' not in wrapper:
        raise UsageError(
            f'optim_wrapper has an entry for {" and ".join(entries)}, but no '
            'constructor that builds one optimizer for each: add '
            "constructor='mmamp.OptimWrapperConstructor'"
        )


def add_hooks(cfg: Config) -> None:
    """Add the hooks of mmamp's that the config lacks, and say so.

    A stock ``CheckpointHook`` or ``RuntimeInfoHook`` becomes mmamp's; one of
    another kind stays.

    Args:
        cfg (Config): The config, changed in place.
    """
    hooks = list(cfg.get('custom_hooks') or [])
    scope = cfg.get('default_scope')
    present = {type_name(hook) for hook in hooks if not _is_own(hook, scope)}
    missing = [name for name in HOOKS if name not in present]
    if missing:
        cfg.custom_hooks = hooks + [dict(type=f'mmamp.{x}') for x in missing]
        print_log(
            f'Added to custom_hooks: {", ".join(missing)}', logger='current'
        )
    if has_stock_ema_hook(cfg):
        print_log(
            "custom_hooks: MMEngine's EMAHook also advances where an update "
            "was skipped; type='mmamp.EMAHook' does not",
            logger='current',
        )
    if cfg.get('default_hooks') is None:
        cfg.default_hooks = dict()
    default_hooks = cfg.default_hooks
    for key, name, module in REPLACED:
        hook = default_hooks.get(key, dict(type=name))
        if _is_stock(hook, name, module, scope):
            default_hooks[key] = dict(hook, type=f'mmamp.{name}')
            print_log(
                f'default_hooks.{key}: {name} -> mmamp.{name}',
                logger='current',
            )


def evaluate_as_trained(cfg: Config) -> None:
    """Have a model that is trained in mixed precision evaluated in it too.

    Args:
        cfg (Config): The config, changed in place.
    """
    loops = [
        cfg.get(f'{mode}_cfg')
        for mode in ('val', 'test')
        if cfg.get(f'{mode}_dataloader') is not None
    ]
    precision = evaluation_precision(cfg)
    hooks = list(cfg.get('custom_hooks') or [])
    if (
        precision is None
        or not precision.mixed
        or all('fp16' in (loop or {}) for loop in loops)
        or any(type_name(hook) == 'EvalPrecisionHook' for hook in hooks)
    ):
        return
    cfg.custom_hooks = [*hooks, dict(type='mmamp.EvalPrecisionHook')]
    print_log(
        'Added to custom_hooks: EvalPrecisionHook, which evaluates in the '
        'dtype of training',
        logger='current',
    )


def has_stock_ema_hook(cfg: Config) -> bool:
    """Whether a config has MMEngine's ``EMAHook``, not mmamp's."""
    scope = cfg.get('default_scope')
    return any(
        _is_stock(hook, 'EMAHook', 'ema_hook', scope)
        and not (hook['type'] == 'EMAHook' and scope == 'mmamp')
        for hook in cfg.get('custom_hooks') or []
    )


def _is_stock(hook: Any, name: str, module: str, scope: str | None) -> bool:
    """Whether a config of a hook means MMEngine's own."""
    if not isinstance(hook, dict):
        return False
    kind: Any = hook.get('type', '')
    if isinstance(kind, str):
        is_named = kind in (name, f'mmengine.{name}')
        return is_named and not _is_own(hook, scope)
    return f'{kind.__module__}.{kind.__name__}' == (
        f'mmengine.hooks.{module}.{name}'
    )


def _is_own(hook: Any, scope: str | None) -> bool:
    """Whether a config of a hook means another project's own."""
    kind: Any = hook.get('type') if hasattr(hook, 'get') else None
    return isinstance(kind, str) and bool(own_class(ROOT_HOOKS, kind, scope))


def seed_data(cfg: Config) -> None:
    """Make the training data a function of the position in it, and say so.

    Args:
        cfg (Config): The config, changed in place.
    """
    loader: Any = cfg.get('train_dataloader')
    parts = ('dataset', 'sampler')
    if not isinstance(loader, dict) or not all(
        isinstance(loader.get(part), dict) for part in parts
    ):
        return
    if type_name(loader['sampler']) == 'SeededSampler':
        return
    for part in parts:
        kind = f'mmamp.Seeded{part.capitalize()}'
        loader[part] = {'type': kind, part: loader[part]}
    print_log(
        'train_dataloader: random transforms are seeded by the position of '
        'the sample (SeededDataset, SeededSampler), so that a resumed run is '
        'exact',
        logger='current',
    )


def type_name(hook: Any) -> str:
    """The bare class name of a hook, given as a dict or as an object."""
    kind = hook.get('type', '') if hasattr(hook, 'get') else type(hook)
    name = kind if isinstance(kind, str) else kind.__name__
    return name.rpartition('.')[2]
