"""One optimizer per network, from one config."""

import copy
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.device import is_npu_available, is_npu_support_full_precision
from mmengine.logging import MMLogger, print_log
from mmengine.optim import (
    DefaultOptimWrapperConstructor,
    OptimWrapper,
    OptimWrapperDict,
)
from mmengine.registry import Registry
from torch import nn

from mmamp.registry import (
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIM_WRAPPERS,
    OPTIMIZERS,
)
from mmamp.utils.modules import unwrap
from mmamp.utils.suggest import did_you_mean

from .amp_optim_wrapper import AmpOptimWrapper
from .limits import UnfitParameter
from .param_matching import Claim, ParamMatcher


@OPTIM_WRAPPER_CONSTRUCTORS.register_module(
    name=['OptimWrapperConstructor', 'MultiOptimWrapperConstructor']
)
class OptimWrapperConstructor:
    """Build one optimizer wrapper per network, or one over several.

    An entry's key says which parameters its optimizer gets: the name of a
    sub-module (``generator``), a dotted name (``generator.mapping``) or a
    regular expression that matches such names in full (``disc_.*``), tried in
    this order. With ``modules=[...]`` in the entry the key is the optimizer's
    name only. A module brings all trainable parameters inside it; frozen ones
    are left out, those of no entry are warned about. Names are without the
    ``module.`` of model wrappers.

    Besides ``optimizer``, ``modules`` and ``paramwise_cfg`` an entry holds
    the wrapper's ``type`` (default ``'OptimWrapper'``) and its arguments. An
    already built :class:`OptimWrapper` is taken as it is.

    Args:
        optim_wrapper_cfg (dict): The entries; or, with ``optimizer`` or
            ``modules`` at its top level, one entry, which without ``modules``
            trains the whole model. It is not changed.
        paramwise_cfg (dict, optional): MMEngine's parameter-wise options, for
            each entry that has no ``paramwise_cfg`` of its own (``None`` there
            switches them off). ``custom_keys`` are looked for in full names
            such as ``generator.mapping.weight``. Defaults to None.

    Raises:
        TypeError: If an entry or a value in it is of a wrong type.
        ValueError: If there is no entry; if an entry has no ``optimizer``,
            names an unknown ``type``, matches no module or gets no trainable
            parameter; if two entries claim one parameter. An argument that
            an optimizer or a wrapper refuses is either of the two errors.

    Examples:
        >>> # one optimizer per network: an OptimWrapperDict
        >>> optim_wrapper = dict(
        ...     constructor='OptimWrapperConstructor',
        ...     generator=dict(
        ...         type='AmpOptimWrapper',
        ...         loss_scale='dynamic',
        ...         accumulative_counts=8,
        ...         optimizer=dict(type='Adam', lr=1e-4)),
        ...     discriminators=dict(
        ...         modules=['disc_.*'],
        ...         optimizer=dict(type='Adam', lr=4e-4)))
        >>> # one optimizer over some modules: a single OptimWrapper
        >>> optim_wrapper = dict(
        ...     constructor='OptimWrapperConstructor',
        ...     modules=['unet', '.*encoder'],
        ...     optimizer=dict(type='AdamW', lr=1e-5))
    """

    def __init__(
        self,
        optim_wrapper_cfg: dict[str, Any],
        paramwise_cfg: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(optim_wrapper_cfg, dict):
            raise TypeError(
                'optim_wrapper_cfg must be a dict, but got '
                f'{type(optim_wrapper_cfg).__name__}: {optim_wrapper_cfg!r}'
            )
        cfg = dict(optim_wrapper_cfg.items())
        cfg.pop('constructor', None)
        own_paramwise_cfg = cfg.pop('paramwise_cfg', None)
        self.paramwise_cfg = paramwise_cfg or own_paramwise_cfg
        # A config inherited from another package may carry this key.
        self.scope = cfg.pop('_scope_', None)
        self.single = 'optimizer' in cfg or 'modules' in cfg
        (_check_single if self.single else _check_entries)(cfg)
        # The single form's optimizer has no name.
        self.entries = {'': cfg} if self.single else cfg

    def __call__(self, model: nn.Module) -> OptimWrapper | OptimWrapperDict:
        """Build the wrappers, in the order of the config.

        Args:
            model (nn.Module): The model, inside of model wrappers or not.
        """
        matcher = ParamMatcher(model)
        self._names = matcher.param_names
        claims = {name: self._claim(name, matcher) for name in self.entries}
        matcher.check_single_owner(claims)
        wrappers = {
            name: self._wrapper(name, claim) for name, claim in claims.items()
        }
        _share_scalers(wrappers)
        _warn_of_unowned(matcher.unowned_names(claims))
        return wrappers[''] if self.single else OptimWrapperDict(**wrappers)

    def _claim(self, name: str, matcher: ParamMatcher) -> Claim:
        entry, label = self.entries[name], _label(name)
        if isinstance(entry, OptimWrapper):
            return matcher.claim_optimizer(entry.optimizer, label)
        patterns = entry.get('modules')
        if patterns is None and self.single:
            return matcher.claim_model(label)
        return matcher.claim_modules(
            name if patterns is None else patterns, label
        )

    def _wrapper(self, name: str, claim: Claim) -> OptimWrapper:
        wrapper, label = self.entries[name], _label(name)
        if not isinstance(wrapper, OptimWrapper):
            wrapper = self._build(wrapper, claim, label)
        if name and hasattr(wrapper, 'name'):
            wrapper.name = name
        if isinstance(wrapper, AmpOptimWrapper):
            wrapper.watch_frozen({self._names[p]: p for p in claim.frozen})
        optimizer = wrapper.optimizer
        print_log(
            f'{label}: {type(wrapper).__name__} with '
            f'{type(optimizer).__name__} in {len(optimizer.param_groups)} '
            f'parameter group(s) over {claim}',
            logger='current',
        )
        return wrapper

    def _build(
        self, entry: dict[str, Any], claim: Claim, label: str
    ) -> OptimWrapper:
        # Wrappers take arguments apart: `clip_grad` loses its `type`.
        cfg = copy.deepcopy(entry)
        cfg.pop('modules', None)
        paramwise_cfg = cfg.pop('paramwise_cfg', self.paramwise_cfg)
        optimizer_cfg = cfg.pop('optimizer')
        cfg.setdefault('type', 'OptimWrapper')
        if scope := cfg.get('_scope_', self.scope):
            cfg['_scope_'] = scope
            optimizer_cfg.setdefault('_scope_', scope)

        params = _param_groups(claim, optimizer_cfg, paramwise_cfg, label)
        cls = _resolve(OPTIMIZERS, optimizer_cfg, label)
        # Not every optimizer calls its first argument `params`.
        first = next(iter(inspect.signature(cls).parameters))
        with _naming(label, f'{optimizer_cfg!r} does not build'):
            optimizer = OPTIMIZERS.build(
                {**optimizer_cfg, 'type': cls, first: params}
            )
        cls = _resolve(OPTIM_WRAPPERS, cfg, label)
        with _naming(label, f'{cfg!r} does not build'):
            try:
                return OPTIM_WRAPPERS.build(
                    {**cfg, 'type': cls, 'optimizer': optimizer}
                )
            except UnfitParameter as error:
                raise ValueError(error.named(self._names)) from error


def _share_scalers(wrappers: dict[str, OptimWrapper]) -> None:
    """Give the wrappers of each group one loss scaler."""
    groups: dict[str, list[Any]] = {}
    for wrapper in wrappers.values():
        if (group := getattr(wrapper, 'scaler_group', None)) is not None:
            groups.setdefault(group, []).append(wrapper)
    for group, members in groups.items():
        names = ', '.join(repr(w.name) for w in members)
        if len(members) == 1:
            print_log(
                f'loss_scaler={group!r} is given for {names} alone, which so '
                'has a loss scaler of its own',
                logger='current',
                level=logging.WARNING,
            )
            continue
        members[0].share_scaler(members[1:])
        print_log(
            f'{names} share one loss scaler ({group!r})', logger='current'
        )


def _label(name: str) -> str:
    return f'optim_wrapper[{name!r}]' if name else 'optim_wrapper'


def _check_single(cfg: dict[str, Any]) -> None:
    for name, value in cfg.items():
        is_entry = isinstance(value, dict) and 'optimizer' in value
        if is_entry or isinstance(value, OptimWrapper):
            raise ValueError(
                f'{_label(name)} is an entry, but there is `optimizer` or '
                '`modules` beside it; a config has one or the other. To drop '
                'what `_base_` says: optim_wrapper=dict(_delete_=True, ...)'
            )
    _check_optimizer(cfg, 'optim_wrapper')


def _check_entries(cfg: dict[str, Any]) -> None:
    if is_npu_available() and not is_npu_support_full_precision():
        # MMEngine put it there by itself; it means nothing beside entries.
        cfg.pop('type', None)
    if not cfg:
        raise ValueError(
            'optim_wrapper has no entry; it needs one per network, such as '
            "generator=dict(optimizer=dict(type='Adam', lr=1e-4))"
        )
    for name, entry in cfg.items():
        if isinstance(entry, dict):
            _check_optimizer(entry, _label(name))
        elif not isinstance(entry, OptimWrapper) or isinstance(
            entry, OptimWrapperDict
        ):
            raise TypeError(
                f'{_label(name)}={entry!r} is no entry, that is, a dict or a '
                'built OptimWrapper for one optimizer. Arguments of a wrapper '
                '(`type`, `accumulative_counts`, ...) go inside the entries'
            )


def _check_optimizer(entry: dict[str, Any], label: str) -> None:
    given = entry.get('optimizer')
    if not isinstance(given, dict):
        raise (ValueError if given is None else TypeError)(
            f'{label}={entry!r}: `optimizer` must be given, as a dict such '
            "as dict(type='Adam', lr=1e-4)"
        )


def _resolve(
    registry: Registry, cfg: dict[str, Any], label: str
) -> Callable[..., Any]:
    """Return what ``cfg['type']`` names, or say what it could have named."""
    given: Callable[..., Any] | str | None = cfg.get('type')
    if callable(given):
        return given
    if not isinstance(given, str):
        raise TypeError(f'{label}: {registry.name} needs a `type`, got {cfg}')
    with registry.switch_scope_and_registry(cfg.get('_scope_')) as scoped:
        try:
            found: Callable[..., Any] | None = scoped.get(given)
        except RuntimeError:  # what MMEngine raises for a malformed name
            found = None
    if callable(found):
        return found
    valid = sorted({*scoped.module_dict, *registry.root.module_dict})
    raise ValueError(
        f'{label}: there is no {registry.name} {given!r}; there are '
        f'{", ".join(valid)}.{did_you_mean(given.rpartition(".")[2], valid)}'
    )


@contextmanager
def _naming(label: str, what: str) -> Iterator[None]:
    """Put the entry's name into an error about what the user wrote there."""
    try:
        yield
    except (TypeError, ValueError, AttributeError, AssertionError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f'{label}: {what}: {error}') from error


class _Grouper(DefaultOptimWrapperConstructor):
    """MMEngine's parameter-wise options, over names without ``module.``."""

    def add_params(
        self, params: list[dict[str, Any]], module: nn.Module, **kwargs: object
    ) -> None:
        super().add_params(params, unwrap(module), **kwargs)


def _param_groups(
    claim: Claim,
    optimizer_cfg: dict[str, Any],
    paramwise_cfg: dict[str, Any] | None,
    label: str,
) -> list[Any]:
    """Return a claim's parameters, in groups where options ask for it."""
    if not paramwise_cfg:
        return list(claim.trainable)
    groups: list[dict[str, Any]] = []
    what = (
        f'paramwise_cfg={paramwise_cfg!r} (its multipliers need `lr` and '
        f'`weight_decay` in `optimizer`) does not fit {optimizer_cfg!r}'
    )
    logger = MMLogger.get_current_instance()
    logger.addFilter(_not_on_frozen)
    try:
        with _naming(label, what):
            grouper = _Grouper(dict(optimizer=optimizer_cfg), paramwise_cfg)
            for name, module in claim.modules.items():
                grouper.add_params(groups, module, prefix=name)
    finally:
        logger.removeFilter(_not_on_frozen)
    # A tied parameter has a group wherever it is used: the first one holds.
    first: dict[nn.Parameter, dict[str, Any]] = {}
    for group in groups:
        first.setdefault(group['params'][0], group)
    return list(first.values())


def _not_on_frozen(record: logging.LogRecord) -> bool:
    # MMEngine warns of every single frozen parameter; one line counts them.
    return 'since its requires_grad=False' not in record.getMessage()


def _warn_of_unowned(names: list[str], shown: int = 5) -> None:
    if not names:
        return
    more = f' and {len(names) - shown} more' if len(names) > shown else ''
    print_log(
        f'{len(names)} trainable parameters belong to no optimizer and will '
        f'not be trained: {", ".join(names[:shown])}{more}. Name their module '
        'in an entry, or freeze them (requires_grad=False)',
        logger='current',
        level=logging.WARNING,
    )
