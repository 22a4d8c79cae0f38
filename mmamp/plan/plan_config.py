"""A config as it is rehearsed: in a dtype, under a strategy."""

from typing import Any

from mmengine.config import Config

from mmamp.config.hooks import type_name
from mmamp.launcher.model_wrapper import set_model_wrapper
from mmamp.launcher.strategy import leave_strategy, set_strategy
from mmamp.report.trial_config import trial_config

STRATEGIES = ('none', 'ddp', 'fsdp2')
"""What trains: one process, or many."""
KEPT = ('PrecisionHook', 'EMAHook')
"""Hooks that change what is computed, or what is in memory."""
_DEFAULT = (
    *('runtime_info', 'timer', 'sampler_seed', 'logger'),
    *('param_scheduler', 'checkpoint'),
)
"""Hooks that a Runner has by itself."""


def plan_config(
    cfg: Config, dtype: str, strategy: str, rules: Any = ()
) -> Config:
    """Make the config of a rehearsal.

    Args:
        cfg (Config): The user's. It is not changed.
        dtype (str): ``'float32'``, ``'bfloat16'`` or ``'float16'``.
        strategy (str): Of :data:`STRATEGIES`.
        rules (Sequence[dict]): Of a ``PrecisionHook``, before those of the
            config. Defaults to none.

    Returns:
        Config: Complete.

    Raises:
        ValueError: If it cannot be put in mixed precision, or be trained so.
    """
    cfg = trial_config(cfg, dtype, 'plan', list(rules), 1)
    cfg.log_level = 'ERROR'
    cfg.default_hooks = dict.fromkeys(_DEFAULT)
    cfg.custom_hooks = [x for x in cfg.custom_hooks if type_name(x) in KEPT]
    cfg.param_scheduler = None
    if cfg.model.get('compile') is not None:
        cfg.model.compile = None
    given: Any = cfg.get('strategy')
    leave_strategy(cfg)
    if strategy == 'none':
        cfg.model_wrapper_cfg = None
        return cfg
    cfg.launcher = 'pytorch'
    if strategy == 'fsdp2':
        cfg.model_wrapper_cfg = None
        own = given if _is_fsdp2(given) else {}
        cfg.strategy = dict(own, type='mmamp.FSDP2Strategy')
        set_strategy(cfg)
        return cfg
    set_model_wrapper(cfg)
    wrapper = cfg.get('model_wrapper_cfg')
    if wrapper is None:
        wrapper = dict(
            type='MMDistributedDataParallel', broadcast_buffers=False
        )
    # Nobody is there to compare weights with.
    cfg.model_wrapper_cfg = dict(wrapper, init_sync=False)
    return cfg


def left_out(cfg: Config) -> list[str]:
    """Name the hooks of a config that are not rehearsed.

    Args:
        cfg (Config): The user's.
    """
    names = map(type_name, cfg.get('custom_hooks') or [])
    return sorted({x for x in names if x not in KEPT})


def _is_fsdp2(strategy: Any) -> bool:
    return bool(strategy) and type_name(strategy) == 'FSDP2Strategy'
