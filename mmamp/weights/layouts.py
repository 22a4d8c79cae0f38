"""How files of other codebases hold the weights of several networks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mmamp.errors import UsageError

States = dict[str, dict[str, Tensor]]
"""By the name that a network has in the model."""
_PARAMS = {'params': 'generator', 'params_ema': 'generator_ema'}
_LETTERS = {
    'G': 'generator',
    'G_ema': 'generator_ema',
    'D': 'discriminator',
}
EMA = '_ema'


@dataclass
class Parts:
    """What is in a file.

    Args:
        states (dict[str, dict[str, Tensor]]): The weights, by network.
        rest (list[str]): Names of what is neither.
        details (dict[str, Any]): What writing needs to know to be exact.
    """

    states: States = field(default_factory=dict)
    rest: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)


def split(checkpoint: Any, domains: Sequence[str] | None = None) -> Parts:
    """Find the networks in a file.

    Args:
        checkpoint (dict): What is in it.
        domains (Sequence[str], optional): Names of the domains a and b, where
            there are generators for two. Defaults to None.

    Raises:
        UsageError: If there is none, or domains are missing.
    """
    if not isinstance(checkpoint, dict) or not checkpoint:
        kind = type(checkpoint).__name__
        raise UsageError(f'SOURCE holds a {kind}, no state dict')
    inner = checkpoint.get('state_dict')
    if isinstance(inner, dict):
        parts = _of_prefixes(inner, domains)
        parts.rest += sorted(set(checkpoint) - {'state_dict', 'meta'})
        return parts
    for names in (_PARAMS, _LETTERS):
        if any(isinstance(checkpoint.get(name), dict) for name in names):
            states = {
                ours: dict(checkpoint[theirs])
                for theirs, ours in names.items()
                if theirs in checkpoint
            }
            return Parts(states, sorted(set(checkpoint) - set(names)))
    if _has_prefixes(checkpoint):
        return _of_prefixes(checkpoint, domains)
    tensors = {k: v for k, v in checkpoint.items() if isinstance(v, Tensor)}
    if not tensors:
        raise UsageError(
            'SOURCE holds no state dict: its keys are '
            f'{", ".join(map(repr, list(checkpoint)[:5]))}'
        )
    rest = [str(k) for k in checkpoint if k not in tensors]
    return Parts({'generator': tensors}, rest)


def _has_prefixes(names: Mapping[str, Any]) -> bool:
    return any(
        name.startswith(('generator.', 'generators.', 'discriminator'))
        for name in names
    )


def _of_prefixes(
    state: Mapping[str, Any], domains: Sequence[str] | None
) -> Parts:
    """Split the state dict of a whole model of OpenMMLab's."""
    if not _has_prefixes(state):
        tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
        return Parts({'generator': tensors})
    parts = Parts()
    names = _network_names(state, domains)
    targets = [x.split('.')[1] for x in names if x.startswith('generators.')]
    if targets:
        # Of two the first makes images of b.
        parts.details['domains'] = targets[::-1]
    for key, tensor in state.items():
        prefix = next((x for x in names if key.startswith(f'{x}.')), None)
        if prefix is None:
            parts.rest.append(key)
            continue
        ours, name = names[prefix], key.removeprefix(f'{prefix}.')
        if ours.endswith(EMA):
            if name == 'steps':
                parts.details['steps'] = int(tensor)
                continue
            if name.startswith('module.'):
                parts.details['module'] = True
                name = name.removeprefix('module.')
        parts.states.setdefault(ours, {})[name] = tensor
    return parts


def _network_names(
    state: Mapping[str, Any], domains: Sequence[str] | None
) -> dict[str, str]:
    """Return what networks are called here, by their prefixes."""
    found = {
        kind: sorted(
            {k.split('.')[1] for k in state if k.split('.')[0] == kind}
        )
        for kind in ('generators', 'discriminators')
    }
    targets = found['generators'] or found['discriminators']
    if not targets:
        return {
            x: x for x in ('generator', f'generator{EMA}', 'discriminator')
        }
    if len(targets) == 1:
        (target,) = targets
        return {
            f'generators.{target}': 'generator',
            f'discriminators.{target}': 'discriminator',
        }
    if domains is None or sorted(domains) != targets:
        given = f', not {" and ".join(domains)}' if domains else ''
        raise UsageError(
            f'SOURCE has networks of the domains {" and ".join(targets)}'
            f'{given}: give --domains A B, as the config has them (A is that '
            'of `inputs`)'
        )
    a, b = domains
    return {
        f'generators.{b}': 'generator_ab',
        f'generators.{a}': 'generator_ba',
        f'discriminators.{a}': 'discriminator_a',
        f'discriminators.{b}': 'discriminator_b',
    }


Join = Callable[[States, Mapping[str, Any]], dict[str, Any]]
"""From networks, and the details of their file, to what is in the file."""


def join_params(states: States, details: Mapping[str, Any]) -> dict[str, Any]:
    """Lay out a network as BasicSR does."""
    ours = {v: k for k, v in _PARAMS.items()}
    return {ours.get(k, 'params'): v for k, v in states.items()}


def join_letters(states: States, details: Mapping[str, Any]) -> dict[str, Any]:
    """Lay out networks as a dict of their state dicts."""
    ours = {v: k for k, v in _LETTERS.items()}
    return {ours[k]: v for k, v in states.items()}


def join_openmmlab(
    states: States, details: Mapping[str, Any]
) -> dict[str, Any]:
    """Lay out networks as the model of OpenMMLab's that has them."""
    domains = details.get('domains')
    prefixes = {k: k for k in states}
    if domains:
        a, b = domains if len(domains) == 2 else (domains[0], domains[0])
        prefixes |= {
            'generator': f'generators.{a}',
            'discriminator': f'discriminators.{a}',
            'generator_ab': f'generators.{b}',
            'generator_ba': f'generators.{a}',
            'discriminator_a': f'discriminators.{a}',
            'discriminator_b': f'discriminators.{b}',
        }
    state: dict[str, Any] = {}
    for ours, tensors in states.items():
        prefix = prefixes[ours]
        if ours.endswith(EMA) and details.get('module', True):
            prefix += '.module'
        state |= {f'{prefix}.{k}': v for k, v in tensors.items()}
        if ours.endswith(EMA) and 'steps' in details:
            state[f'{ours}.steps'] = torch.tensor(details['steps'])
    return {'state_dict': state, 'meta': {}}
