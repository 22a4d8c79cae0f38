"""What a config's ``strategy`` needs, and what of it is refused."""

from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmamp.config.hooks import has_stock_ema_hook
from mmamp.errors import UsageError
from mmamp.registry import STRATEGIES
from mmamp.utils.suggest import did_you_mean

from .model_wrapper import overrides_train_step, wrapper_for

REFUSED = dict(
    FSDPStrategy='it shards by FSDP1, which keeps no network of several '
    'apart and needs a GPU',
    ColossalAIStrategy='its optimizer wrapper sets the precision and saves '
    'checkpoints that mmamp cannot resume from',
)
"""Strategies of MMEngine's that mmamp's launcher does not run, and why."""
_RUN = (
    *('FSDP2Strategy', 'DDPStrategy', 'DeepSpeedStrategy'),
    'SingleDeviceStrategy',
)
"""Those that it does, for an error."""


def set_strategy(cfg: Config) -> None:
    """Have a config with ``strategy`` built as it has to be, and say so.

    Args:
        cfg (Config): The config, changed in place.

    Raises:
        UsageError: If the strategy is refused, or does not fit the model or
            the way that the run was started.
    """
    strategy: Any = cfg.get('strategy')
    if strategy is None:
        return
    if not isinstance(strategy, dict) or 'type' not in strategy:
        raise UsageError(
            "strategy must be a dict such as dict(type='mmamp.FSDP2Strategy')"
            f', but is {strategy!r}'
        )
    if cfg.get('runner_type', 'Runner') == 'Runner':
        cfg.runner_type = 'FlexibleRunner'
        print_log(
            "runner_type: 'FlexibleRunner', which strategies need",
            logger='current',
        )
    if has_stock_ema_hook(cfg):
        raise UsageError(
            "strategy: MMEngine's EMAHook cannot resume under the "
            "FlexibleRunner that strategies need; type='mmamp.EMAHook' can"
        )
    if cfg.get('env_cfg') is None:
        cfg.env_cfg = dict()  # a FlexibleRunner insists on it
    kind: Any = strategy['type']
    name = kind if isinstance(kind, str) else kind.__name__
    name = name.rpartition('.')[2]
    alone = cfg.get('launcher', 'none') == 'none'
    if name in REFUSED:
        raise UsageError(
            f'strategy {name}: {REFUSED[name]}. Give strategy=dict(type='
            "'mmamp.FSDP2Strategy') to shard, or leave it out for DDP"
        )
    _check_exists(kind)
    if name == 'SingleDeviceStrategy' and not alone:
        raise UsageError(
            'strategy SingleDeviceStrategy trains in one process that no '
            f'launcher has started, but this one has {cfg.launcher!r}: leave '
            'it out'
        )
    if name == 'DeepSpeedStrategy' and overrides_train_step(cfg):
        raise UsageError(
            'strategy DeepSpeedStrategy: DeepSpeed has one engine and one '
            f'optimizer, and would not run the train_step of {cfg.model.type}'
            ", which overrides it; strategy=dict(type='mmamp.FSDP2Strategy') "
            'shards several networks'
        )
    _move_settings(cfg, strategy, name)
    if name == 'DDPStrategy':
        if alone:
            raise UsageError(
                'strategy DDPStrategy needs several processes: start the run '
                'with `bash tools/dist_train.sh`, or leave it out'
            )
        _set_wrapper(cfg, strategy)
    if name == 'FSDP2Strategy':
        # A FlexibleRunner builds it before it knows of any default scope.
        strategy['type'] = 'mmamp.FSDP2Strategy'
        if _has_hook(cfg, 'EMAHook'):
            raise UsageError(
                'strategy FSDP2Strategy: EMAHook copies the model, and one '
                'that is sharded cannot be copied. An average that is a part '
                "of the model is sharded with it (a GAN's ema_config)"
            )
        _leave_islands(cfg, strategy)


def _check_exists(kind: Any) -> None:
    """Refuse the name of a strategy that there is not."""
    if not isinstance(kind, str):
        return
    scope, _, name = kind.rpartition('.')
    if scope in ('', 'mmamp', 'mmengine') and STRATEGIES.get(name) is None:
        raise UsageError(
            f'strategy.type: there is no {kind!r}; there are '
            f'{", ".join(_RUN)}.{did_you_mean(name, _RUN)}'
        )


def leave_strategy(cfg: Config) -> None:
    """Have a config run in one process, or under DDP.

    Checkpoints are the same whatever trained them.

    Args:
        cfg (Config): The config, changed in place.
    """
    for key in ('strategy', 'runner_type'):
        cfg.pop(key, None)


def _move_settings(cfg: Config, strategy: Any, name: str) -> None:
    """Move what a FlexibleRunner would not look at beside a strategy."""
    places = dict(sync_bn='sync_bn')
    if name == 'FSDP2Strategy':
        places['find_unused_parameters'] = 'find_unused_parameters'
    if name == 'DDPStrategy':
        places['model_wrapper_cfg'] = 'model_wrapper'
    for key, place in places.items():
        given = cfg.get(key)
        if given is None or name not in ('DDPStrategy', 'FSDP2Strategy'):
            continue
        strategy.setdefault(place, given)
        cfg.pop(key)
        print_log(
            f'strategy.{place}: {strategy[place]!r}, which the config has as '
            f'{key}',
            logger='current',
        )
    for key in ('model_wrapper_cfg', 'sync_bn'):
        if cfg.get(key) is not None:
            raise UsageError(
                f'{key} has no effect beside strategy {name}: leave it out'
            )


def _set_wrapper(cfg: Config, strategy: Any) -> None:
    given = strategy.get('model_wrapper')
    wrapper = wrapper_for(cfg, given, 'strategy.model_wrapper')
    if wrapper != given:
        strategy['model_wrapper'] = wrapper
        print_log(f'strategy.model_wrapper: {wrapper}', logger='current')


def _leave_islands(cfg: Config, strategy: Any) -> None:
    """Keep parameters in float32 where a module has to run in it."""
    has_rules = _has_hook(cfg, 'PrecisionHook')
    if has_rules and strategy.get('param_dtype', 'auto') == 'auto':
        strategy['param_dtype'] = 'float32'
        print_log(
            "strategy.param_dtype: 'float32', since PrecisionHook has rules "
            'for single modules',
            logger='current',
        )


def _has_hook(cfg: Config, name: str) -> bool:
    kinds = [
        hook.get('type')
        for hook in cfg.get('custom_hooks') or []
        if isinstance(hook, dict)
    ]
    names = [k if isinstance(k, str) else k.__name__ for k in kinds if k]
    return any(n.rpartition('.')[2] == name for n in names)
