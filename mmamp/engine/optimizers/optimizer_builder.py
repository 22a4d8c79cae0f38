"""One optimizer from its config, given what its signature asks for."""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import (
    contextmanager,
    nullcontext,
    redirect_stdout,
    suppress,
)
from io import StringIO
from typing import Any

from torch import nn
from torch.optim import Optimizer

from mmamp.compat.torch import hooks_on
from mmamp.errors import PackageExit
from mmamp.registry import OPTIMIZERS

from .building import naming, resolve, told
from .param_matching import Claim

_NAMED = ('named_parameters', 'named_params')
_MODULE = ('model', 'module', 'network')
_WRAPPED = re.compile(r'(\w+_)?optim(izer)?(_cls|_class)?')
"""Arguments that are another optimizer, or its class."""

Groups = list[dict[str, Any]]


def build_optimizer(
    cfg: dict[str, Any],
    groups: Groups,
    claim: Claim,
    names: Mapping[nn.Parameter, str],
    label: str,
) -> Optimizer:
    """Build an optimizer.

    What it is given is told by the names of its constructor's arguments:
    groups of parameters (``params``, or whatever the first one is called),
    pairs of full names and parameters (``named_parameters``), the network
    (``model``), another optimizer (``optimizer``) or its class
    (``base_optimizer`` beside ``params``).

    Args:
        cfg (dict): ``type`` and arguments; it is left as it is.
        groups (list[dict]): The parameters in groups, with settings of these.
        claim (Claim): The modules that they are of.
        names (Mapping[nn.Parameter, str]): The parameters' full names.
        label (str): Where it stands in the config, for errors.

    Raises:
        TypeError: If an argument is of a wrong type.
        ValueError: If it cannot be built, or would not be trained right.
        PackageExit: If it ends the process.
    """
    cls = resolve(OPTIMIZERS, cfg, label)
    signature = inspect.signature(cls).parameters
    cfg = dict(cfg)
    given = _parameters(cls, signature, groups, claim, names, label)
    for argument, parameter in signature.items():
        if not _WRAPPED.fullmatch(argument):
            continue
        inner = cfg.get(argument)
        if inner is None and parameter.default is parameter.empty:
            raise ValueError(
                f'{label}: {cls.__name__} wraps another optimizer: give '
                f"{argument}=dict(type='AdamW', lr=1e-3)"
            )
        if isinstance(inner, (str, dict)) or inspect.isclass(inner):
            inner = dict(inner if isinstance(inner, dict) else {'type': inner})
            if scope := cfg.get('_scope_'):
                inner.setdefault('_scope_', scope)
            place = f'{label}: {argument}'
            options = {k: x for k, x in inner.items() if k[:1] != '_'}
            del options['type']
            if not given or (options and not _takes_any(signature)):
                _refuse_outside(cfg, signature, argument, label)
                built = build_optimizer(inner, groups, claim, names, place)
                cfg[argument] = built
                # Schedules of the one have to be those of the other.
                given = dict.fromkeys(given, built.param_groups)
            else:
                # The wrapper builds it, with the arguments that it is given.
                cfg[argument] = resolve(OPTIMIZERS, inner, place)
                cfg = {**options, **cfg}

    for argument in _lacking(signature, {*cfg, *given}):
        if argument not in _MODULE:
            raise ValueError(
                f'{label}: {cls.__name__} cannot be built without '
                f'`{argument}`: give it beside `type`'
            )
        given[argument] = _network(cls, argument, groups, claim, label)
    hooks = sum(hooks_on(param) for param in claim.trainable)
    optimizer = _build(cls, cfg, given, names, label)
    if sum(hooks_on(param) for param in claim.trainable) != hooks:
        raise ValueError(
            f'{label}: {cls.__name__} trains inside of the backward pass, '
            'before anybody can take a loss scale out, accumulate, clip or '
            'skip: choose an optimizer that is stepped'
        )
    if not hasattr(optimizer, 'param_groups'):
        raise ValueError(
            f'{label}: {cls.__name__} has no `param_groups`, by which an '
            'optimizer is scheduled, clipped and saved'
        )
    _check_rates(optimizer, names, label)
    _complete_defaults(optimizer)
    return optimizer


def _parameters(
    cls: Callable[..., Any],
    signature: Mapping[str, inspect.Parameter],
    groups: Groups,
    claim: Claim,
    names: Mapping[nn.Parameter, str],
    label: str,
) -> dict[str, Any]:
    """Return the arguments that are the parameters, in one form or another."""
    first = next(iter(signature))
    given: dict[str, Any] = {}
    params = [param for group in groups for param in group['params']]
    if first in _NAMED:
        given[first] = [(names[param], param) for param in params]
    elif first in _MODULE:
        given[first] = _network(cls, first, groups, claim, label)
    if 'params' in signature or not (given or _WRAPPED.fullmatch(first)):
        given['params' if 'params' in signature else first] = groups
    elif given and any(set(group) > {'params'} for group in groups):
        raise ValueError(
            f'{label}: {cls.__name__} makes its parameter groups itself (its '
            f'first argument is `{first}`): leave out paramwise_cfg and '
            'settings in param_groups'
        )
    return given


def _network(
    cls: Callable[..., Any],
    argument: str,
    groups: Groups,
    claim: Claim,
    label: str,
) -> nn.Module:
    """Return the one network that an entry is of."""
    modules = list(claim.modules.items())
    params = {param for group in groups for param in group['params']}
    if len(modules) != 1 or len(params) < len(claim.trainable):
        raise ValueError(
            f'{label}: {cls.__name__} takes one network with all of its '
            f'parameters (its argument `{argument}`), but the entry '
            f'has {len(params)} of {len(claim.trainable)} parameters '
            f'of {", ".join(name or "the model" for name, _ in modules)}'
        )
    return modules[0][1]


def _takes_any(signature: Mapping[str, inspect.Parameter]) -> bool:
    return any(x.kind is x.VAR_KEYWORD for x in signature.values())


def _refuse_outside(
    cfg: dict[str, Any],
    signature: Mapping[str, inspect.Parameter],
    argument: str,
    label: str,
) -> None:
    """Refuse what the inner optimizer was to get, and would not."""
    for key in cfg:
        if key not in signature and key not in ('type', '_scope_'):
            raise ValueError(
                f'{label}: {key!r} is an argument of the optimizer that '
                f'{cfg["type"]} wraps: write it in {argument}=dict(...)'
            )


def _lacking(
    signature: Mapping[str, inspect.Parameter], given: set[str]
) -> list[str]:
    """List the arguments that it cannot do without, and is not given."""
    return [
        name
        for name, x in signature.items()
        if x.default is x.empty
        and x.kind in (x.POSITIONAL_OR_KEYWORD, x.KEYWORD_ONLY)
        and name not in given
    ]


def _build(
    cls: Callable[..., Any],
    cfg: dict[str, Any],
    given: dict[str, Any],
    names: Mapping[nn.Parameter, str],
    label: str,
) -> Optimizer:
    """Call the constructor; say what it refuses, and the way out."""
    shown = {key: value for key, value in cfg.items() if key != '_scope_'}

    def build(given: dict[str, Any]) -> Optimizer:
        optimizer: Optimizer = OPTIMIZERS.build({**cfg, 'type': cls, **given})
        return optimizer

    with _staying(cls, label), naming(label, f'{shown!r} does not build'):
        try:
            return build(given)
        except Exception as error:
            # A few take parameters, and no groups of them.
            if plain := _without_groups(given):
                took_group = isinstance(getattr(error, 'obj', None), dict)
                with nullcontext() if took_group else suppress(Exception):
                    return build(plain)
            advice = _advice(error, build, given, cls.__name__, names)
            if not advice:
                raise
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f'{told(error).rstrip(".")}. {advice}') from error


def _without_groups(given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments with plain parameters in place of one group.

    Empty if there are several groups, or settings in it.
    """
    found = [(k, x) for k, x in given.items() if isinstance(x, list)]
    if len(found) != 1 or len(found[0][1]) != 1:
        return {}
    key, (group,) = found[0]
    if not isinstance(group, dict) or set(group) != {'params'}:
        return {}
    return {**given, key: list(group['params'])}


def _advice(
    error: Exception,
    build: Callable[[dict[str, Any]], Optimizer],
    given: dict[str, Any],
    cls: str,
    names: Mapping[nn.Parameter, str],
) -> str:
    """Return the way out where it is one of ``param_groups``."""
    if flag := re.search(r'\buse_\w+', told(error)):
        return (
            '`param_groups` of the entry says which parameters are which: '
            f'param_groups=[dict(dims=[2], {flag[0]}=True), '
            f'dict({flag[0]}=False)]'
        )
    groups = next((x for x in given.values() if isinstance(x, list)), [])
    if not groups or not isinstance(groups[0], dict):
        return ''
    (key,) = (k for k, x in given.items() if x is groups)
    taken: list[int] = []
    refused: list[nn.Parameter] = []
    for param, group in _one_of_each(groups):
        try:
            with redirect_stdout(StringIO()):
                build({**given, key: [{**group, 'params': [param]}]})
        except Exception:
            refused.append(param)
        else:
            taken.append(param.ndim)
    if not taken or not refused:
        return ''
    name, shape = names.get(refused[0], ''), tuple(refused[0].shape)
    return (
        f'{name!r} of shape {shape} is none for {cls}: give it another '
        f'optimizer by `param_groups` of the entry, as in param_groups=['
        f"dict(dims={sorted(taken)}), dict(optimizer=dict(type='AdamW', "
        'lr=1e-3))]'
    )


def _one_of_each(
    groups: Sequence[dict[str, Any]],
) -> Iterator[tuple[nn.Parameter, dict[str, Any]]]:
    """Yield one parameter for each number of dimensions, with its group."""
    seen: set[int] = set()
    for group in groups:
        for param in group['params']:
            if param.ndim not in seen:
                seen.add(param.ndim)
                yield param, group


@contextmanager
def _staying(cls: Callable[..., Any], label: str) -> Iterator[None]:
    """Have a package that ends the process fail, with what it has printed."""
    said = StringIO()
    try:
        with redirect_stdout(said):
            yield
    except SystemExit as error:
        words = ' '.join(said.getvalue().split())
        words = f'{label}: {cls.__name__}: {words}'
        raise PackageExit(error, words) from error
    finally:
        print(said.getvalue(), end='')


def _check_rates(
    optimizer: Optimizer, names: Mapping[nn.Parameter, str], label: str
) -> None:
    """Refuse several rates of an optimizer that finds its own out.

    Such as Prodigy and D-Adaptation, whose first step would.
    """
    rates: dict[float, str] = {}
    for group in optimizer.param_groups:
        if 'd' in group and group.get('lr') and group['params']:
            name = names.get(group['params'][0], 'a parameter')
            rates.setdefault(float(group['lr']), name)
    if len(rates) > 1:
        shown = ' and '.join(f'{x:g} ({name!r})' for x, name in rates.items())
        raise ValueError(
            f'{label}: {type(optimizer).__name__} finds one learning rate out '
            f'for all, and takes no others than one and 0, but got {shown}: '
            'leave out `lr`, `lr_mult` and `bias_lr_mult` of groups'
        )


def _complete_defaults(optimizer: Optimizer) -> None:
    """Have a base rate where only groups say one: MMEngine asks for it."""
    groups = optimizer.param_groups
    if len(groups) > 1 and all('lr' in group for group in groups):
        optimizer.defaults.setdefault('lr', groups[0]['lr'])
