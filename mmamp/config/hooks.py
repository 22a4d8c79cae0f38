"""The hooks that the launcher gives a config."""

from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.registry import HOOKS as ROOT_HOOKS

from .amp import evaluation_precision
from .own_class import own_class

HOOKS = ('AmpMonitorHook', 'OverflowHook', 'StateHook', 'PreemptionHook')
"""Hooks that a run started by mmamp's launcher has."""


REPLACED = (
    ('checkpoint', 'CheckpointHook', 'checkpoint_hook'),
    ('runtime_info', 'RuntimeInfoHook', 'runtime_info_hook'),
)
"""MMEngine's default hooks whose place mmamp's take: key, class, module."""


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
    _add_sanity_check(default_hooks)
    for key, name, module in REPLACED:
        hook = default_hooks.get(key, dict(type=name))
        if _is_stock(hook, name, module, scope):
            default_hooks[key] = dict(hook, type=f'mmamp.{name}')
            print_log(
                f'default_hooks.{key}: {name} -> mmamp.{name}',
                logger='current',
            )


def _add_sanity_check(default_hooks: Any) -> None:
    """Have validation be tried before training, unless the config says no.

    Args:
        default_hooks (dict): Of the config, changed in place. What leaves the
            hook out stays there: the config that a run saves does so too.
    """
    given = default_hooks.get('sanity_check', {})
    if given is None:
        given = dict(num_val_batches=0)
    if isinstance(given, dict):
        given.setdefault('type', 'mmamp.SanityCheckHook')
    default_hooks['sanity_check'] = given


def evaluate_as_trained(cfg: Config) -> None:
    """Have a model that is trained in mixed precision evaluated in it too.

    And have its predictions in float32, also where ``fp16`` of a loop or a
    ``PrecisionHook`` decides what it computes in.

    Args:
        cfg (Config): The config, changed in place.
    """
    loops = [
        cfg.get(f'{mode}_cfg') or {}
        for mode in ('val', 'test')
        if cfg.get(f'{mode}_dataloader') is not None
    ]
    precision = evaluation_precision(cfg)
    is_mixed = precision is not None and precision.mixed
    hooks = list(cfg.get('custom_hooks') or [])
    present = {type_name(hook) for hook in hooks}
    is_low = any(loop.get('fp16', is_mixed) for loop in loops)
    if 'EvalPrecisionHook' in present or not (
        is_low or (loops and 'PrecisionHook' in present)
    ):
        return
    cfg.custom_hooks = [*hooks, dict(type='mmamp.EvalPrecisionHook')]
    print_log(
        'Added to custom_hooks: EvalPrecisionHook, which evaluates in the '
        'dtype of training and hands on predictions in float32',
        logger='current',
    )


def has_stock_ema_hook(cfg: Config) -> bool:
    """Tell whether a config has MMEngine's ``EMAHook``, not mmamp's."""
    scope = cfg.get('default_scope')
    return any(
        _is_stock(hook, 'EMAHook', 'ema_hook', scope)
        and not (hook['type'] == 'EMAHook' and scope == 'mmamp')
        for hook in cfg.get('custom_hooks') or []
    )


def _is_stock(hook: Any, name: str, module: str, scope: str | None) -> bool:
    """Tell whether a config of a hook means MMEngine's own."""
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
    """Tell whether a config of a hook means another project's own."""
    kind: Any = hook.get('type') if hasattr(hook, 'get') else None
    return isinstance(kind, str) and bool(own_class(ROOT_HOOKS, kind, scope))


def type_name(hook: Any) -> str:
    """Return the bare class name of a hook, a dict or an object."""
    kind = hook.get('type', '') if hasattr(hook, 'get') else type(hook)
    name = kind if isinstance(kind, str) else kind.__name__
    return name.rpartition('.')[2]
