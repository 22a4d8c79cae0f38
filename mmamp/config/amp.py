"""Put the optimizers of a config in mixed precision: what ``--amp`` does."""

import copy
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.config.lazy import LazyAttr, LazyObject
from mmengine.logging import print_log
from mmengine.registry import OPTIM_WRAPPERS

from mmamp.compat.mmengine import raw, raw_values
from mmamp.precision.names import CHOICES, FULL, described, name_of

from .own_class import own_class

AMP_TYPE = 'mmamp.AmpOptimWrapper'

# Why MMEngine's other wrappers are refused
_FOREIGN = {
    'ApexOptimWrapper': 'apex.amp sets its precision',
    'DeepSpeedOptimWrapper': 'the DeepSpeed strategy sets its precision',
    'ColossalAIOptimWrapper': 'the ColossalAI strategy sets its precision',
}
# Keys that never name an optimizer, whatever dict they hold: an optimizer may
# wrap another one, and parameters may belong to a module named `optimizer`
_SETTINGS = ('optimizer', 'paramwise_cfg')


@dataclass(frozen=True)
class Precision:
    """The precision that a config sets for one optimizer.

    Args:
        type_name (str): The wrapper's, as the config spells it.
        kind (str): ``'float32'``, ``'stock'`` (MMEngine's AMP) or
            ``'mmamp'``.
        dtype (str or None): None is the device's default.
        loss_scale (str or int or float or dict or None): None is
            ``'dynamic'``.
    """

    type_name: str
    kind: str
    dtype: str | None
    loss_scale: Any

    @property
    def mixed(self) -> bool:
        """Whether the optimizer is in mixed precision."""
        return FULL not in (self.kind, self.dtype)

    def __str__(self) -> str:
        if not self.mixed:
            return f'{self.type_name} ({FULL})'
        dtype = self.dtype or "the device's default"
        scale = 'dynamic' if self.loss_scale is None else self.loss_scale
        text = f'loss_scale {scale}'
        # MMEngine's wrapper scales in bfloat16 too.
        if (self.kind, self.dtype) == ('mmamp', 'bfloat16'):
            text = 'no loss scale'
        return f'{self.type_name} (dtype {dtype}, {text})'


@dataclass(frozen=True)
class AmpChange:
    """What happened to one optimizer; ``str()`` of it is the line to log.

    Args:
        name (str): The optimizer's name, 'optim_wrapper' for a single one.
        before (Precision): Its precision in the config as given.
        after (Precision): The same in the new config.
    """

    name: str
    before: Precision
    after: Precision

    def __str__(self) -> str:
        parts = [f'{self.name}: {self.before} -> {self.after}']
        if self.before.mixed and self.after.mixed:
            parts.append('in mixed precision already')
        elif self.before.dtype == FULL:
            parts.append(f'kept in {self.before.dtype}, as its dtype says')
        for key in ('dtype', 'loss_scale'):
            was, now = getattr(self.before, key), getattr(self.after, key)
            if was is not None and was != now:
                parts.append(f"the option replaces the config's {key} {was}")
        return '; '.join(parts)


def enable_amp(
    cfg: Config, dtype: Any = None, loss_scale: Any = None
) -> Config:
    """Return a copy of a config with its optimizers in mixed precision.

    Only ``optim_wrapper`` differs in the copy, whatever its ``constructor``
    and the names of its optimizers. Each wrapper becomes an
    ``mmamp.AmpOptimWrapper`` and keeps its other values; one that is mmamp's
    already stays as it is. One with ``dtype='float32'`` in the config stays in
    float32 and takes neither option. The :func:`amp_report` is logged.

    Args:
        cfg (Config): The config. It is not changed.
        dtype (str, optional): 'float16', 'bfloat16', 'float32' or 'auto',
            to replace the config's own. Defaults to None: keep the
            config's, or else the device's default.
        loss_scale (str or int or float or dict, optional): 'dynamic', a number
            above 0 (also as text) or a dict of ``GradScaler`` arguments, to
            replace the config's own. Defaults to None: keep the config's, or
            else 'dynamic'.

    Returns:
        Config: The new config, which comes back equal if given again.

    Raises:
        TypeError: If ``cfg`` is no ``Config``.
        ValueError: If an option is invalid, if there is no optimizer or one in
            a wrapper of another kind, or if none ends up in mixed precision.

    Examples:
        >>> cfg = Config(dict(optim_wrapper=dict(
        ...     constructor='OptimWrapperConstructor',
        ...     generator=dict(optimizer=dict(type='Adam', lr=1e-4)),
        ...     discriminator=dict(optimizer=dict(type='Adam', lr=4e-4)))))
        >>> enable_amp(cfg, dtype='bfloat16').optim_wrapper.generator.type
        'mmamp.AmpOptimWrapper'
    """
    if not isinstance(cfg, Config):
        hint = '; wrap it: Config(cfg)' if isinstance(cfg, dict) else ''
        raise TypeError(f'cfg must be a Config, got {type(cfg)}{hint}')
    options = _checked_options(dtype, loss_scale)
    # Copied by itself: other keys may share its dicts, and stay as they are
    optim_wrapper = _copy_containers(raw(cfg, 'optim_wrapper'))
    entries = _entries(optim_wrapper)
    for name, entry in entries.items():
        _edit(entry, _read(name, entry, cfg), options)
    new_cfg = _copy_containers(cfg)
    new_cfg.optim_wrapper = optim_wrapper

    changes = amp_report(cfg, new_cfg)
    lines = [str(change) for change in changes]
    if not any(change.after.mixed for change in changes):
        raise ValueError(
            'no optimizer ends up in mixed precision; one of them at least '
            "must have the dtype 'float16', 'bfloat16', 'auto' or none at "
            f'all. Found: {" | ".join(lines)}'
        )
    if None not in entries:  # else the rest are arguments, as `clip_grad` is
        rest = [key for key in _children(optim_wrapper) if key not in entries]
        lines += [f'{key}: holds no optimizer, left alone' for key in rest]
    print_log('\n    '.join(['Mixed precision:', *lines]), logger='current')
    return new_cfg


def amp_report(before: Config, after: Config) -> list[AmpChange]:
    """Compare the precision of every optimizer in two configs.

    Args:
        before (Config): The config given to :func:`enable_amp`.
        after (Config): The config that it returned.

    Returns:
        list[AmpChange]: One for each optimizer.

    Raises:
        ValueError: If one of them is a config that :func:`enable_amp` refuses.

    Examples:
        >>> cfg = Config(dict(optim_wrapper=dict(
        ...     optimizer=dict(type='Adam', lr=1e-4))))
        >>> print(amp_report(cfg, enable_amp(cfg, 'bfloat16'))[0])
        optim_wrapper: OptimWrapper (float32) -> mmamp.AmpOptimWrapper (dtype
        bfloat16, no loss scale)
    """
    old, new = _read_all(before), _read_all(after)
    return [AmpChange(k or 'optim_wrapper', old[k], new[k]) for k in new]


def mixed_optimizers(cfg: Config) -> list[str]:
    """Keys of a config's optimizers in mixed precision.

    Args:
        cfg (Config): The config.

    Returns:
        list[str]: Such as ``'optim_wrapper.generator'``.

    Raises:
        ValueError: If it is a config that :func:`enable_amp` refuses.
    """
    return [
        _key(name)
        for name, precision in _read_all(cfg).items()
        if precision.mixed
    ]


def stock_optimizers(cfg: Config) -> dict[str, str]:
    """Return the optimizers in MMEngine's own AMP wrapper.

    Args:
        cfg (Config): The config; one that :func:`enable_amp` refuses has none.

    Returns:
        dict[str, str]: The wrapper's name, by the key of the config.
    """
    try:
        found = _read_all(cfg)
    except ValueError:
        return {}
    return {
        _key(name): precision.type_name
        for name, precision in found.items()
        if precision.kind == 'stock'
    }


def evaluation_precision(cfg: Config) -> Precision | None:
    """Return the precision that a trained model is evaluated in.

    Args:
        cfg (Config): The config.

    Returns:
        Precision or None: That of the optimizer named ``generator``, which
        makes the pictures, or else of the first one; None if the config has
        no optimizer that mmamp knows.
    """
    try:
        found = _read_all(cfg)
    except ValueError:
        return None
    return found.get('generator', next(iter(found.values())))


def _key(name: str | None) -> str:
    """Return the key of an optimizer; None is the only one."""
    return 'optim_wrapper' if name is None else f'optim_wrapper.{name}'


def _read_all(cfg: Config) -> dict[str | None, Precision]:
    entries = _entries(raw(cfg, 'optim_wrapper'))
    return {name: _read(name, entry, cfg) for name, entry in entries.items()}


def _checked_options(dtype: Any, loss_scale: Any) -> dict[str, Any]:
    """Return the options that were given, in the form to write."""
    options = {}
    if dtype is not None:
        name = options['dtype'] = name_of(dtype)
        if name not in CHOICES:
            raise ValueError(
                f'dtype must be one of {described()}, got {dtype!r}'
            )
    if loss_scale is not None:
        options['loss_scale'] = _checked_loss_scale(loss_scale)
    return options


def _checked_loss_scale(value: Any) -> Any:
    if value == 'dynamic' or isinstance(value, dict):
        return value
    number = 0.0
    with suppress(TypeError, ValueError):
        number = float(value)
    if value is True or not 0 < number < math.inf:
        raise ValueError(
            "loss_scale must be 'dynamic', a finite number above 0 or a dict "
            f'of GradScaler arguments, got {value!r}'
        )
    return number if isinstance(value, str) else value


def _copy_containers(value: Any) -> Any:
    """Copy a config, but no leaf: a copied optimizer would train no model."""
    return copy.deepcopy(value, {id(leaf): leaf for leaf in _leaves(value)})


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Config):
        value = raw_values(value)
    if isinstance(value, dict):
        value = list(dict.values(value))  # a ConfigDict's own would import
    if isinstance(value, list | tuple):
        for child in value:
            yield from _leaves(child)
    else:
        yield value


def _entries(optim_wrapper: Any) -> dict[str | None, dict[str, Any]]:
    """Return the dicts that hold an optimizer, by name: None for the top."""
    nodes = {None: optim_wrapper, **_children(optim_wrapper)}
    entries = {k: node for k, node in nodes.items() if _holds_optimizer(node)}
    if not entries:
        raise ValueError(
            'optim_wrapper holds no optimizer to put in mixed precision: '
            'expected dict(optimizer=dict(type=...)) or dict(constructor=..., '
            f'NAME=dict(optimizer=dict(type=...))), got {optim_wrapper!r}'
        )
    return entries


def _children(optim_wrapper: Any) -> dict[str | None, Any]:
    """Return the dicts that may each be the wrapper of an optimizer."""
    is_dict = isinstance(optim_wrapper, dict)
    items = dict.items(optim_wrapper) if is_dict else ()
    dicts = {name: child for name, child in items if isinstance(child, dict)}
    return {k: child for k, child in dicts.items() if k not in _SETTINGS}


def _holds_optimizer(value: Any) -> bool:
    """Tell whether a dict has an optimizer, as a dict or built."""
    optimizer = raw(value, 'optimizer') if isinstance(value, dict) else None
    return not isinstance(optimizer, str | int | float | list | tuple | None)


def _read(name: str | None, entry: dict[str, Any], cfg: Config) -> Precision:
    type_, dtype = raw(entry, 'type'), raw(entry, 'dtype')
    type_name = 'OptimWrapper' if type_ is None else _type_name(type_)
    scope = raw(entry, '_scope_') or raw(cfg, 'default_scope')
    is_text = isinstance(type_, str | None)
    if is_text and (own := own_class(OPTIM_WRAPPERS, type_name, scope)):
        type_name, is_text = _type_name(own), False
    kind = _kind(type_name, is_text, scope)
    key = _key(name)
    if kind is None:
        reason = _FOREIGN.get(type_name.rpartition('.')[2], 'it is unknown')
        raise ValueError(
            f'{key}: mmamp cannot put {type_name} in mixed precision, since '
            f"{reason}. Accepted are no type, 'OptimWrapper' and "
            f"'AmpOptimWrapper' (MMEngine's, in any scope) and {AMP_TYPE!r}"
        )
    dtype = None if dtype is None else name_of(dtype)
    if dtype is not None and dtype not in CHOICES:
        raise ValueError(
            f'{key}: dtype={dtype!r} is unknown: give one of {described()}, '
            'or None'
        )
    return Precision(type_name, kind, dtype, raw(entry, 'loss_scale'))


def _type_name(type_: Any) -> str:
    """Return the dotted name of a type, whichever form the config has."""
    if isinstance(type_, LazyObject | LazyAttr):
        return f'{type_.module}.{type_}'
    if isinstance(type_, type):
        return f'{type_.__module__}.{type_.__qualname__}'
    return str(type_)


def _kind(type_name: str, is_text: bool, scope: str | None) -> str | None:
    """Tell a wrapper by its name, for its class may be imported nowhere yet.

    The name has in front of it nothing (then ``scope`` holds), a scope, which
    a text alone can have and which finds MMEngine's wrappers too, or a module.
    """
    module, _, class_name = type_name.rpartition('.')
    package = module.split('.')[0] if module else scope
    is_scope = is_text and '.' not in module
    if not is_scope and package not in ('mmengine', 'mmamp'):
        return None
    amp = 'mmamp' if package == 'mmamp' else 'stock'
    return {'OptimWrapper': FULL, 'AmpOptimWrapper': amp}.get(class_name)


def _edit(
    entry: dict[str, Any], found: Precision, options: dict[str, Any]
) -> None:
    """Make one entry an AMP one, in place."""
    if found.kind != 'mmamp':
        entry['type'] = AMP_TYPE
    if found.dtype is not None:
        # By its name: `torch.float16` is dumped as what no config can load
        entry['dtype'] = found.dtype
    if found.dtype != FULL:
        # One by one: `ConfigDict.update` would merge a dict into the old one
        for key, value in options.items():
            entry[key] = copy.deepcopy(value)
