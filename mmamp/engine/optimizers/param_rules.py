"""Which group, and which optimizer, a parameter belongs to."""

import inspect
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.logging import MMLogger, print_log
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import nn
from torch.optim import Optimizer

from mmamp.utils.listing import listed
from mmamp.utils.modules import unwrap
from mmamp.utils.suggest import arguments_of, did_you_mean

from .building import naming
from .joint_optimizer import JointOptimizer
from .optimizer_builder import build_optimizer
from .param_matching import Claim

_KEYS = ('dims', 'names', 'exclude', 'optimizer')


@dataclass(frozen=True)
class Rule:
    """One of ``param_groups``.

    Args:
        dims (tuple[int], optional): Numbers of dimensions that it is for; None
            for all.
        names (tuple[str], optional): Regular expressions, one of which
            matches the full name; None for all.
        exclude (tuple[str]): Of which none does.
        optimizer (dict, optional): Its own; None for the entry's.
        options (dict): Settings of the group.
    """

    dims: tuple[int, ...] | None
    names: tuple[str, ...] | None
    exclude: tuple[str, ...]
    optimizer: dict[str, Any] | None
    options: dict[str, Any]

    def matches(self, name: str, param: nn.Parameter) -> bool:
        """Tell whether a parameter is one that it is for.

        Args:
            name (str): The parameter's full name.
            param (nn.Parameter): The parameter.
        """
        if self.dims is not None and param.ndim not in self.dims:
            return False
        if self.names is not None and not _any_matches(self.names, name):
            return False
        return not _any_matches(self.exclude, name)

    def __str__(self) -> str:
        asks = dict(dims=self.dims, names=self.names, exclude=self.exclude)
        said = [f'{key}={[*value]}' for key, value in asks.items() if value]
        return ', '.join(said) or 'the rest'


def build_by_rules(
    given: object,
    cfg: dict[str, Any],
    paramwise_cfg: dict[str, Any] | None,
    claim: Claim,
    names: Mapping[nn.Parameter, str],
    label: str,
) -> Optimizer:
    """Build the optimizer of an entry with ``param_groups``.

    Args:
        given (list[dict]): The rules, as they stand in the config. The first
            one that matches a parameter has it.
        cfg (dict): The optimizer of rules without one of their own.
        paramwise_cfg (dict, optional): MMEngine's options.
        claim (Claim): What is to be optimized.
        names (Mapping[nn.Parameter, str]): The parameters' full names.
        label (str): Where it stands in the config, for errors.

    Returns:
        Optimizer: A :class:`JointOptimizer` where they are several.

    Raises:
        TypeError: If a rule is of a wrong type.
        ValueError: If a rule is not valid or matches nothing, its optimizer
            does not read one of its settings, or a parameter is matched by
            none.
    """
    rules = _read_rules(given, label)
    if all(rule.optimizer is not None for rule in rules):
        raise ValueError(
            f'{label}: each rule of `param_groups` has an optimizer of its '
            f'own, so that nothing is left for optimizer={cfg!r}: leave '
            '`optimizer` out of one of them'
        )
    parts: dict[int | None, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    shares = _distribute(rules, claim.trainable, names, label)
    for number, (rule, params) in enumerate(zip(rules, shares, strict=True)):
        own = cfg if rule.optimizer is None else dict(rule.optimizer)
        if scope := cfg.get('_scope_'):
            own.setdefault('_scope_', scope)
        groups = groups_of(
            claim, params, {**own, **rule.options}, paramwise_cfg, label
        )
        part = parts.setdefault(
            None if rule.optimizer is None else number, (own, [])
        )
        part[1].extend({**rule.options, **group} for group in groups)
        print_log(
            f'{_label(label, number)}: {len(params)} tensors, '
            f'{sum(p.numel() for p in params):,} parameters, by {own["type"]}',
            logger='current',
        )
    optimizers = [
        build_optimizer(
            own,
            groups,
            claim,
            names,
            label if number is None else _label(label, number),
        )
        for number, (own, groups) in parts.items()
    ]
    built = dict(zip(parts, optimizers, strict=True))
    for number, rule in enumerate(rules):
        optimizer = built[None if rule.optimizer is None else number]
        _check_options(rule.options, optimizer, _label(label, number))
    if len(optimizers) == 1:
        return optimizers[0]
    with naming(label, 'the optimizers of `param_groups` do not join'):
        return JointOptimizer(optimizers)


def _check_options(
    options: Mapping[str, Any], optimizer: Optimizer, label: str
) -> None:
    """Refuse settings of a group that its optimizer does not read.

    torch's optimizers keep, without a word, whatever stands in a group.
    """
    kind = type(optimizer)
    settings = [
        *dict.fromkeys(
            [*getattr(optimizer, 'defaults', ()), *arguments_of(kind)]
        )
    ]
    unread = [k for k in options if k not in settings and not _names(kind, k)]
    if unread:
        raise ValueError(
            f'{label}: {listed(unread, 3)}: no setting of {kind.__name__}, '
            f'which has {", ".join(x for x in settings if x != "params")}.'
            f'{did_you_mean(unread[0], settings)}'
        )


def _names(kind: type, key: str) -> bool:
    """Tell whether the code of a class has a key, as far as can be seen."""
    own = [x for x in kind.__mro__ if x not in (Optimizer, object)]
    try:
        sources = [inspect.getsource(sys.modules[x.__module__]) for x in own]
    except (OSError, TypeError):
        return True
    return any(
        quoted in text
        for text in sources
        for quoted in (f"'{key}'", f'"{key}"')
    )


def groups_of(
    claim: Claim,
    params: Sequence[nn.Parameter],
    optimizer_cfg: dict[str, Any],
    paramwise_cfg: dict[str, Any] | None,
    label: str,
) -> list[dict[str, Any]]:
    """Return parameters in one group, or as MMEngine's options ask for.

    Args:
        claim (Claim): What they are part of.
        params (Sequence[nn.Parameter]): The parameters.
        optimizer_cfg (dict): With the ``lr`` and ``weight_decay`` that are
            multiplied.
        paramwise_cfg (dict, optional): The options.
        label (str): Where it stands in the config, for errors.

    Raises:
        ValueError: If the options do not fit.
    """
    if not paramwise_cfg:
        return [dict(params=list(params))]
    groups: list[dict[str, Any]] = []
    what = (
        f'paramwise_cfg={paramwise_cfg!r} (its multipliers need `lr` and '
        f'`weight_decay` in `optimizer`) does not fit {optimizer_cfg!r}'
    )
    quiet = _Quiet(len(params) < len(claim.trainable))
    logger = MMLogger.get_current_instance()
    logger.addFilter(quiet)
    try:
        with naming(label, what):
            grouper = _Grouper(
                dict(optimizer=_settings(optimizer_cfg)), paramwise_cfg
            )
            for name, module in claim.modules.items():
                grouper.add_params(groups, module, prefix=name)
    finally:
        logger.removeFilter(quiet)
    # A tied parameter has a group wherever it is used: the first one holds.
    first: dict[nn.Parameter, dict[str, Any]] = {}
    for group in groups:
        first.setdefault(group['params'][0], group)
    return [first[param] for param in first if param in set(params)]


class _Grouper(DefaultOptimWrapperConstructor):
    """MMEngine's parameter-wise options, over names without ``module.``."""

    def add_params(
        self, params: list[dict[str, Any]], module: nn.Module, **kwargs: object
    ) -> None:
        super().add_params(params, unwrap(module), **kwargs)


class _Quiet(logging.Filter):
    """Leaves out what MMEngine logs of every single parameter.

    Args:
        partly (bool): Whether the parameters are others' too.
    """

    def __init__(self, partly: bool) -> None:
        super().__init__()
        self.partly = partly

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if self.partly and message.startswith('paramwise_options'):
            return False
        # One line counts the frozen ones.
        return 'since its requires_grad=False' not in message


def _settings(cfg: dict[str, Any]) -> dict[str, Any]:
    """Return an optimizer's settings, and those of one that it wraps."""
    inner = [x for x in cfg.values() if isinstance(x, dict) and 'type' in x]
    return {**(inner[0] if inner else {}), **cfg}


def _label(label: str, number: int) -> str:
    return f'{label}: param_groups[{number}]'


def _any_matches(patterns: Sequence[str], name: str) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def _distribute(
    rules: Sequence[Rule],
    params: Sequence[nn.Parameter],
    names: Mapping[nn.Parameter, str],
    label: str,
) -> list[list[nn.Parameter]]:
    """Give each parameter to the first rule that matches it."""
    shares: list[list[nn.Parameter]] = [[] for _ in rules]
    left = []
    for param in params:
        for rule, share in zip(rules, shares, strict=True):
            if rule.matches(names[param], param):
                share.append(param)
                break
        else:
            left.append(param)
    if left:
        raise ValueError(
            f'{label}: no rule of `param_groups` matches {len(left)} '
            f'parameters, such as {names[left[0]]!r} of shape '
            f'{tuple(left[0].shape)}: a last rule without `dims` and `names`, '
            'as in param_groups=[..., dict()], has the rest'
        )
    for number, (rule, share) in enumerate(zip(rules, shares, strict=True)):
        if share:
            continue
        taken = [names[p] for p in params if rule.matches(names[p], p)]
        why = (
            f'what it matches, such as {taken[0]!r}, earlier rules have'
            if taken
            else f'the parameters are {_some(params, names)}'
        )
        raise ValueError(
            f'{_label(label, number)} ({rule}) gets no parameter: {why}'
        )
    return shares


def _some(
    params: Sequence[nn.Parameter], names: Mapping[nn.Parameter, str]
) -> str:
    return listed([f'{names[p]!r} {tuple(p.shape)}' for p in params], 8)


def _read_rules(given: object, label: str) -> list[Rule]:
    if not isinstance(given, (list, tuple)) or not given:
        raise TypeError(
            f'{label}: `param_groups` must be a list of rules, such as '
            f'[dict(dims=[2]), dict(lr=1e-3)], but got {given!r}'
        )
    return [
        _read_rule(rule, _label(label, number))
        for number, rule in enumerate(given)
    ]


def _read_rule(given: object, label: str) -> Rule:
    if not isinstance(given, dict):
        raise TypeError(f'{label}={given!r} must be a dict')
    options = dict(given.items())
    optimizer = options.pop('optimizer', None)
    if optimizer is not None and not isinstance(optimizer, dict):
        raise TypeError(
            f"{label}: `optimizer` must be a dict such as dict(type='AdamW', "
            f'lr=1e-3), but got {optimizer!r}'
        )
    rule = Rule(
        dims=_dims(options.pop('dims', None), label),
        names=_patterns('names', options.pop('names', None), label),
        exclude=_patterns('exclude', options.pop('exclude', ()), label) or (),
        optimizer=optimizer,
        options=options,
    )
    for key in options:
        if key == 'params' or (hint := did_you_mean(key, _KEYS)):
            raise ValueError(
                f'{label}: {key!r} is none of {", ".join(_KEYS)} and no '
                f'setting of a group.{hint if key != "params" else ""}'
            )
    return rule


def _dims(given: object, label: str) -> tuple[int, ...] | None:
    if given is None:
        return None
    dims = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    for dim in dims:
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise TypeError(
                f'{label}: `dims` must be numbers of dimensions, such as [2] '
                f'for matrices, but got {given!r}'
            )
    return dims


def _patterns(key: str, given: object, label: str) -> tuple[str, ...] | None:
    if given is None:
        return None
    patterns = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(
                f'{label}: `{key}` must be regular expressions that match '
                f"full names, such as ['.*weight'], but got {given!r}"
            )
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(
                f'{label}: `{key}`: {pattern!r} is no valid regular '
                f'expression: {error}'
            ) from error
    return patterns
