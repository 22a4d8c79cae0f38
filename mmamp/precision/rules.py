"""Rules that say which dtype the modules of a name run in."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from mmamp.compat.torch import BatchStatistics

from .dtypes import BY_NAME
from .islands import Island
from .names import COMPARED
from .spectral_norm import float32_spectral_norm, is_spectral_norm

_NORMS = (
    BatchStatistics,
    nn.GroupNorm,
    nn.LayerNorm,
    nn.LocalResponseNorm,
    nn.RMSNorm,
)


def _is_to_rgb(name: str, module: nn.Module) -> bool:
    last = name.rpartition('.')[2].lower()
    return bool(re.fullmatch(r'to_?(rgb|img|image)s?_?\d*', last))


@dataclass
class Rule:
    """One rule, checked, and what it has matched."""

    label: str
    matches: Callable[[str, nn.Module], bool]
    dtype: torch.dtype | None = torch.float32
    output_dtype: torch.dtype | str | None = None
    clamp: float | None = None
    of_norm: bool = False
    is_set: bool = False
    matched: list[str] = field(default_factory=list)

    def install(self, module: nn.Module) -> Island | None:
        """Put a module under this rule, or only the norm of its weight.

        Returns:
            Island or None: What the module has become.
        """
        if self.of_norm:
            float32_spectral_norm(module)
            return None
        island = Island(self.dtype, self.output_dtype, self.clamp)
        island.install(module)
        return island

    def install_inside(self, module: nn.Module) -> Island | None:
        """Put what a module under this rule holds into the rule's dtype.

        So that it holds too where not the forward of the module is called,
        but a method of its own, or what is inside of it.

        Returns:
            Island or None: What the module has become; None if the rule has
            no dtype.
        """
        if self.dtype is None:
            return None
        island = Island(self.dtype)
        island.install(module)
        return island


def _norms(label: str) -> Rule:
    return Rule(
        label, lambda name, module: isinstance(module, _NORMS), is_set=True
    )


RULE_SETS: dict[str, Callable[[], Rule]] = {
    'normalization': lambda: _norms('normalization'),
    'spectral_norm': lambda: Rule(
        'spectral_norm',
        lambda name, module: is_spectral_norm(module),
        of_norm=True,
        is_set=True,
    ),
    'to_rgb': lambda: Rule('to_rgb', _is_to_rgb, is_set=True),
}
"""Ready-made rules, which put modules into float32."""
_OTHER_SPELLINGS: dict[str, Callable[[], Rule]] = {
    'normalisation': lambda: _norms('normalisation'),
}


def parse_rule(rule: dict[str, Any] | str) -> Rule:
    """Check a rule."""
    if isinstance(rule, str):
        sets = {**RULE_SETS, **_OTHER_SPELLINGS}
        if rule not in sets:
            raise ValueError(
                f'there is no set of rules {rule!r}; there are '
                f'{", ".join(map(repr, RULE_SETS))}. A regular expression is '
                f'given as dict(pattern={rule!r})'
            )
        return sets[rule]()
    if not isinstance(rule, dict):
        raise TypeError(f'a rule must be a dict or a str, but got {rule!r}')
    keys = ('pattern', 'dtype', 'output_dtype', 'clamp')
    unknown = [key for key in rule if key not in keys]
    if unknown or 'pattern' not in rule:
        what = f'unknown keys {unknown}' if unknown else 'no pattern'
        raise ValueError(f'rule {rule!r} has {what}: give {", ".join(keys)}')
    dtype = _dtype(rule, 'dtype', rule.get('dtype', 'float32'), [None])
    output_dtype = _dtype(
        rule, 'output_dtype', rule.get('output_dtype'), [None, 'input']
    )
    clamp = rule.get('clamp')
    if clamp is not None and (
        isinstance(clamp, bool)
        or not isinstance(clamp, (int, float))
        or not clamp > 0
    ):
        raise ValueError(f'rule {rule!r}: clamp must be a number > 0 or None')
    if dtype is None and output_dtype is None and clamp is None:
        raise ValueError(
            f'rule {rule!r} changes nothing: give a dtype, an output_dtype '
            'or a clamp'
        )
    try:
        pattern = re.compile(rule['pattern'])
    except (re.error, TypeError) as error:
        raise ValueError(
            f'rule {rule!r}: pattern is no regular expression: {error}'
        ) from error
    return Rule(
        rule['pattern'],
        lambda name, module: pattern.fullmatch(name) is not None,
        dtype,
        output_dtype,
        clamp,
    )


def _dtype(
    rule: dict[str, Any], key: str, value: Any, others: list[Any]
) -> Any:
    if value in others:
        return value
    if value in BY_NAME.values():
        return value
    if isinstance(value, str) and value in BY_NAME:
        return BY_NAME[value]
    valid = [repr(v) for v in (*COMPARED, *others)]
    raise ValueError(
        f'rule {rule!r}: {key}={value!r} must be one of {", ".join(valid)}'
    )
