"""Values of a config that nothing could run with."""

import math
from collections.abc import Callable, Iterator
from typing import Any

from mmengine.config import Config

from mmamp.compat.mmengine import raw
from mmamp.errors import UsageError

_TRAINING = ['model', 'train_dataloader', 'train_cfg', 'optim_wrapper']
_LOOPS = ('IterBasedTrainLoop', 'EpochBasedTrainLoop')


def check_model(cfg: Config) -> None:
    """Refuse a config without a model.

    Args:
        cfg (Config): The config.

    Raises:
        UsageError: If it has none.
    """
    _check_parts(cfg, ['model'])


def check_training(cfg: Config) -> None:
    """Refuse a config without what MMEngine's runners train by.

    Args:
        cfg (Config): The config.

    Raises:
        UsageError: If something is missing.
    """
    if raw(cfg, 'runner_type') in (None, 'Runner', 'FlexibleRunner'):
        _check_parts(cfg, _TRAINING)


def _check_parts(cfg: Config, names: list[str]) -> None:
    missing = [name for name in names if raw(cfg, name) is None]
    if missing:
        needed = f'; training needs {", ".join(names)}' if names[1:] else ''
        where = f'{cfg.filename}: ' if cfg.filename else ''
        raise UsageError(
            f'{where}the config has no {", no ".join(missing)}{needed}'
        )


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


def check_data(cfg: Config) -> None:
    """Refuse batches and workers that there cannot be.

    Args:
        cfg (Config): The config.

    Raises:
        UsageError: If a data loader has such ones.
    """
    for mode in ('train', 'val', 'test'):
        loader: Any = cfg.get(f'{mode}_dataloader')
        if isinstance(loader, dict):
            # Not what a dataset takes, which may have such names.
            own = {k: v for k, v in loader.items() if k in _LOADERS}
            _check(own, f'{mode}_dataloader', _LOADERS)


def check_optimizer_settings(cfg: Config) -> None:
    """Refuse settings that no optimizer can have, by their keys.

    Args:
        cfg (Config): The config.

    Raises:
        UsageError: If there is one.
    """
    _check(cfg.get('optim_wrapper'), 'optim_wrapper', _OPTIMIZERS)


def _check(node: Any, at: str, rules: 'dict[str, _Rule]') -> None:
    """Check the values of all dicts below a key."""
    for key, name, value in _settings(node, at):
        if name not in rules or value is None:
            continue
        is_valid, valid = rules[name]
        if not is_valid(value):
            raise UsageError(f'{key} must be {valid}, but is {value!r}')


def _settings(node: Any, at: str) -> Iterator[tuple[str, str, Any]]:
    """Yield the key, the name and the value of all that dicts hold."""
    if isinstance(node, list | tuple):
        for i, value in enumerate(node):
            yield from _settings(value, f'{at}.{i}')
    elif isinstance(node, dict):
        for name, value in node.items():
            yield f'{at}.{name}', str(name), value
            yield from _settings(value, f'{at}.{name}')


def _is_rate(value: Any) -> bool:
    """Tell whether a value may be a rate: a tensor or a function says more."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return math.isfinite(value) and value >= 0
    return not isinstance(value, bool | str)


def _are_betas(value: Any) -> bool:
    if isinstance(value, str):
        return False
    items = value if isinstance(value, list | tuple) else [value]
    return all(
        0 <= x < 1
        for x in items
        if isinstance(x, int | float) and not isinstance(x, bool)
    )


def _is_from(low: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and value >= low


_Rule = tuple[Callable[[Any], bool], str]
_LOADERS: dict[str, _Rule] = {
    'batch_size': (_is_from(1), 'an int >= 1'),
    'num_workers': (_is_from(0), 'an int >= 0'),
}
_OPTIMIZERS: dict[str, _Rule] = {
    'lr': (_is_rate, 'a number >= 0'),
    'weight_decay': (_is_rate, 'a number >= 0'),
    'betas': (_are_betas, 'numbers from 0 to below 1'),
    'accumulative_counts': (_is_from(1), 'an int >= 1'),
}


def _is_whole(value: Any) -> bool:
    """Tell whether a value is a whole number; 1e5 is one."""
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, int) and not isinstance(value, bool)
