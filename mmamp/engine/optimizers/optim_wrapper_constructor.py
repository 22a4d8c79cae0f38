"""One optimizer per network, from one config."""

import copy
import logging
from typing import Any

from mmengine.device import is_npu_available, is_npu_support_full_precision
from mmengine.logging import print_log
from mmengine.optim import (
    OptimWrapper,
    OptimWrapperDict,
)
from torch import nn

from mmamp.registry import (
    OPTIM_WRAPPER_CONSTRUCTORS,
)
from mmamp.utils.listing import listed

from .amp_optim_wrapper import AmpOptimWrapper
from .building import build_wrapper
from .optimizer_builder import build_optimizer
from .param_matching import Claim, ParamMatcher
from .param_rules import build_by_rules, groups_of


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

    Rules in ``param_groups`` divide an entry's parameters: the first one whose
    ``dims`` (numbers of dimensions) and ``names`` (regular expressions that
    match full names, ``exclude`` aside) match has the parameter. What else is
    in a rule are settings of its group; with an ``optimizer`` of its own its
    parameters are trained by that, and the entry's optimizers are stepped as
    one.

    Besides ``optimizer``, ``modules``, ``paramwise_cfg`` and ``param_groups``
    an entry holds the wrapper's ``type`` (default ``'OptimWrapper'``) and its
    arguments. An already built :class:`OptimWrapper` is taken as it is.

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
            parameter; if two entries claim one parameter; if a rule gets no
            parameter, or a parameter no rule. An argument that an optimizer
            or a wrapper refuses is either of the two errors.

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
        >>> # matrices to another optimizer than the rest
        >>> optim_wrapper = dict(
        ...     constructor='OptimWrapperConstructor',
        ...     generator=dict(
        ...         optimizer=dict(type='AdamW', lr=1e-4),
        ...         param_groups=[
        ...             dict(dims=[2], names=['.*weight'],
        ...                  optimizer=dict(type='Muon', lr=0.02)),
        ...             dict()]))
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
        rules = cfg.pop('param_groups', None)
        optimizer_cfg = cfg.pop('optimizer')
        cfg.setdefault('type', 'OptimWrapper')
        if scope := cfg.get('_scope_', self.scope):
            cfg['_scope_'] = scope
            optimizer_cfg.setdefault('_scope_', scope)

        if rules is None:
            groups = groups_of(
                claim, claim.trainable, optimizer_cfg, paramwise_cfg, label
            )
            optimizer = build_optimizer(
                optimizer_cfg, groups, claim, self._names, label
            )
        else:
            optimizer = build_by_rules(
                rules, optimizer_cfg, paramwise_cfg, claim, self._names, label
            )
        return build_wrapper(cfg, optimizer, self._names, label)


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
        if name != 'optimizer' and (
            is_entry or isinstance(value, OptimWrapper)
        ):
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


def _warn_of_unowned(names: list[str], shown: int = 5) -> None:
    if not names:
        return
    print_log(
        f'{len(names)} trainable parameters belong to no optimizer and will '
        f'not be trained: {listed(names, shown)}. Name their module '
        'in an entry, or freeze them (requires_grad=False)',
        logger='current',
        level=logging.WARNING,
    )
