"""Networks to build optimizers on: small, with the names that configs use."""

import re
from collections.abc import Iterable
from typing import Any

from torch import nn


class _Network(nn.Module):
    """A layer and a norm, and modules under the given dotted names."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.norm = nn.BatchNorm1d(1)
        for name in names:
            # A key such as '.pos_embed' means one inside of another.
            inside = f'inner{name}' if name[0] == '.' else name
            add(self, inside, nn.Linear(1, 1))


def add(model: nn.Module, name: str, network: nn.Module) -> None:
    """Put a module where a dotted name says, making what is on the way."""
    *way, last = [x for x in name.split('.') if x]
    for part in way:
        if not hasattr(model, part):
            model.add_module(part, nn.Module())
        model = getattr(model, part)
    if not hasattr(model, last):
        model.add_module(last, network)


def stub_of(old: dict[str, dict[str, Any]], new: dict[str, Any]) -> nn.Module:
    """Build a model with the networks that either config names.

    Args:
        old (dict[str, dict]): The old optimizers, by network.
        new (dict): ``optim_wrapper``.

    Raises:
        ValueError: If no name can be thought of that matches a pattern.
    """
    keys = _custom_keys(list(old.values())) | _custom_keys([new])
    model = _Network(keys if '' in old else ())
    for name in old:
        if name:
            add(model, name, _Network(keys))
    for name, entry in new.items():
        if not isinstance(entry, dict) or 'optimizer' not in entry:
            continue
        patterns = entry.get('modules', name)
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            add(model, _example(pattern), _Network(keys))
    return model


def _custom_keys(configs: Any) -> set[str]:
    """Collect the keys of ``custom_keys``, at any depth, that can be names."""
    found: set[str] = set()
    if isinstance(configs, list):
        for child in configs:
            found |= _custom_keys(child)
    elif isinstance(configs, dict):
        for key, child in configs.items():
            if key == 'custom_keys' and isinstance(child, dict):
                found |= {x for x in child if x.strip('.')}
            else:
                found |= _custom_keys(child)
    return found


def _example(pattern: str) -> str:
    """Think of a name that matches a pattern."""
    name = re.sub(r'\.[*+]', 'x', pattern).replace('\\', '')
    if re.fullmatch(pattern, name) is None:
        raise ValueError(
            f'no name is known that matches {pattern!r} of optim_wrapper'
        )
    return name
