"""Values of a config that nothing could run with."""

from typing import Any

from mmengine.config import Config

from mmamp.errors import UsageError

_LOOPS = ('IterBasedTrainLoop', 'EpochBasedTrainLoop')


def check_seed(cfg: Config) -> None:
    """Refuse a seed that is none.

    Args:
        cfg (Config): The config.

    Raises:
        UsageError: If ``randomness.seed`` is no int that numpy takes.
    """
    randomness = cfg.get('randomness')
    if randomness is None:
        return
    if not isinstance(randomness, dict):
        raise UsageError(
            f'randomness must be a dict such as dict(seed=0), but is '
            f'{randomness!r}'
        )
    seed = randomness.get('seed')
    is_int = isinstance(seed, int) and not isinstance(seed, bool)
    if seed is None or (is_int and 0 <= seed < 2**32):
        return
    raise UsageError(
        f'randomness.seed must be an int from 0 to {2**32 - 1}, or None, but '
        f'is {seed!r}'
    )


def check_length(cfg: Config) -> None:
    """Refuse a training of no length.

    Args:
        cfg (Config): The config.

    Raises:
        UsageError: If MMEngine's own loops would not train at all.
    """
    train: Any = cfg.get('train_cfg')
    if not isinstance(train, dict):
        return
    kind = train.get('type', _LOOPS[0])
    name = kind if isinstance(kind, str) else kind.__name__
    if name.rpartition('.')[2] not in _LOOPS:
        return
    keys = ['max_iters', 'max_epochs']
    if cfg.get('val_cfg') is not None:
        keys.append('val_interval')
    for key in keys:
        value = train.get(key)
        if value is None or (_is_whole(value) and value >= 1):
            continue
        raise UsageError(
            f'train_cfg.{key} must be an int >= 1, but is {value!r}'
        )


def _is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number; 1e5 is one."""
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)
