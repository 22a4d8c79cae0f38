"""How files of other codebases hold the weights of several networks."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mmamp.errors import UsageError
from mmamp.utils.listing import listed

States = dict[str, dict[str, Tensor]]
"""By the name that a network has in the model."""
_PARAMS = {'params': 'generator', 'params_ema': 'generator_ema'}
_LETTERS = {
    'G': 'generator',
    'G_ema': 'generator_ema',
    'D': 'discriminator',
}
EMA = '_ema'
COUNT = 'num_batches_tracked'
SHOWN = 6
"""Names that a message lists."""


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
            there are generators for two, or of the only one. Defaults to
            None.

    Raises:
        UsageError: If there is none, or it is no dict of tensors, or domains
            are missing or others.
    """
    _check_names(checkpoint)
    inner = checkpoint.get('state_dict')
    if isinstance(inner, dict):
        _check_names(inner)
        parts = _of_state(inner, domains)
        parts.rest += sorted(set(checkpoint) - {'state_dict', 'meta'})
        return parts
    for names in (_PARAMS, _LETTERS):
        if any(isinstance(checkpoint.get(name), dict) for name in names):
            _check_domains([], domains)
            states = {
                ours: _tensors(theirs, checkpoint[theirs])
                for theirs, ours in names.items()
                if theirs in checkpoint
            }
            rest = sorted(set(checkpoint) - set(names))
            return Parts(states, rest, dict(bare=False))
    return _of_state(checkpoint, domains)


def refuse_own(checkpoint: Any, own: Collection[str]) -> None:
    """See that a file is another codebase's.

    Args:
        checkpoint (dict): What is in it.
        own (Collection[str]): Names of the model's weights.

    Raises:
        UsageError: If most of its names are the model's.
    """
    if not isinstance(checkpoint, dict):
        return
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, dict):
        return
    if 2 * sum(name in own for name in state) > len(state):
        raise UsageError(
            'SOURCE has weights under the names of mmamp, as its own '
            'checkpoints: nothing is to be read; give --back to write them '
            'for another codebase'
        )


def _check_names(checkpoint: Any) -> None:
    if not isinstance(checkpoint, dict) or not checkpoint:
        kind = type(checkpoint).__name__
        raise UsageError(f'SOURCE holds a {kind}, no state dict')
    if not all(isinstance(name, str) for name in checkpoint):
        raise _no_state(checkpoint)


def _no_state(checkpoint: Mapping[Any, Any]) -> UsageError:
    return UsageError(
        'SOURCE holds no state dict: its keys are '
        f'{listed(list(map(repr, checkpoint)), SHOWN)}'
    )


def _tensors(name: str, given: Any) -> dict[str, Tensor]:
    """Return the weights of a network.

    Raises:
        UsageError: If they are no dict of tensors.
    """
    if not isinstance(given, dict):
        raise UsageError(
            f'SOURCE has {name!r}, but it is a {type(given).__name__}, no '
            'dict of tensors'
        )
    for key, value in given.items():
        if not (isinstance(key, str) and isinstance(value, Tensor)):
            raise UsageError(
                f'SOURCE has {name!r}, but its {key!r} is a '
                f'{type(value).__name__}, no tensor'
            )
    return dict(given)


def _of_state(
    state: Mapping[str, Any], domains: Sequence[str] | None
) -> Parts:
    """Split a state dict: of a whole model of OpenMMLab's, or of a network."""
    if any(name.startswith(('generator', 'discriminator')) for name in state):
        return _of_prefixes(state, domains)
    tensors = {k: v for k, v in state.items() if isinstance(v, Tensor)}
    if not tensors:
        raise _no_state(state)
    _check_domains([], domains)
    rest = [k for k in state if k not in tensors]
    return Parts({'generator': tensors}, rest, dict(bare=True))


def _of_prefixes(
    state: Mapping[str, Any], domains: Sequence[str] | None
) -> Parts:
    """Split the state dict of a whole model of OpenMMLab's."""
    parts = Parts()
    targets = _targets(state)
    names = _network_names(targets, domains)
    if targets:
        parts.details['domains'] = list(domains or targets)
    found: dict[str, dict[str, Any]] = {}
    for key, tensor in state.items():
        prefix = next((x for x in names if key.startswith(f'{x}.')), None)
        if prefix is None:
            parts.rest.append(key)
            continue
        found.setdefault(prefix, {})[key.removeprefix(f'{prefix}.')] = tensor
    if not found:
        prefixes = sorted({key.split('.')[0] for key in state})
        raise UsageError(
            f'SOURCE has no network that is known: its keys begin with '
            f'{listed(prefixes, SHOWN)}, not with {", ".join(names)}'
        )
    for prefix, given in found.items():
        tensors = _tensors(prefix, given)
        ours = names[prefix]
        if ours.endswith(EMA):
            tensors = _of_average(tensors, parts.details)
        parts.states[ours] = tensors
    return parts


def _of_average(
    tensors: dict[str, Tensor], details: dict[str, Any]
) -> dict[str, Tensor]:
    """Take the network out of MMEngine's average of it."""
    if 'steps' in tensors:
        details['steps'] = int(tensors.pop('steps'))
    if any(name.startswith('module.') for name in tensors):
        details['module'] = True
    return {k.removeprefix('module.'): v for k, v in tensors.items()}


def _targets(state: Mapping[str, Any]) -> list[str]:
    """Return the domains that networks are called by."""
    for kind in ('generators.', 'discriminators.'):
        found = sorted({x.split('.')[1] for x in state if x.startswith(kind)})
        if found:
            return found
    return []


def _check_domains(
    targets: Sequence[str], domains: Sequence[str] | None
) -> None:
    """See that a user names the domains of a file, if there are several."""
    if domains is None and len(targets) < 2:
        return
    if not targets:
        raise UsageError(
            f'--domains {" ".join(domains or ())}: SOURCE calls no network by '
            'a domain; leave --domains out'
        )
    if domains is None or sorted(domains) != list(targets):
        given = f', not {" and ".join(domains)}' if domains else ''
        wanted = (
            'give --domains A B, as the config has them (A is that of '
            '`inputs`)'
            if len(targets) > 1
            else f'give --domains {targets[0]}, or leave it out'
        )
        what = 'domains' if len(targets) > 1 else 'domain'
        raise UsageError(
            f'SOURCE has networks of the {what} {" and ".join(targets)}'
            f'{given}: {wanted}'
        )
    if len(targets) > 2:
        raise UsageError(
            f'SOURCE has networks of {len(targets)} domains, '
            f'{", ".join(targets)}: a model here has two'
        )


def _network_names(
    targets: Sequence[str], domains: Sequence[str] | None
) -> dict[str, str]:
    """Return what networks are called here, by their prefixes."""
    _check_domains(targets, domains)
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
    a, b = domains or targets
    return {
        f'generators.{b}': 'generator_ab',
        f'generators.{a}': 'generator_ba',
        f'discriminators.{a}': 'discriminator_a',
        f'discriminators.{b}': 'discriminator_b',
    }


Join = Callable[[States, Mapping[str, Any]], dict[str, Any]]
"""From networks, and the details of their file, to what is in the file."""


def join_params(states: States, details: Mapping[str, Any]) -> dict[str, Any]:
    """Lay out a network as BasicSR does, and its average beside it.

    Raises:
        UsageError: If there are several networks.
    """
    if len({name.removesuffix(EMA) for name in states}) > 1:
        raise UsageError(
            'a file of this format cannot hold '
            f'{", ".join(sorted(states))}: give the discriminator a file of '
            'its own by --discriminator FILE'
        )
    ours = {v: k for k, v in _PARAMS.items()}
    if len(states) == 1 and details.get('bare', False):
        return dict(*states.values())
    return {ours.get(k, 'params'): v for k, v in states.items()}


def join_letters(states: States, details: Mapping[str, Any]) -> dict[str, Any]:
    """Lay out several networks as a dict of their state dicts, or one."""
    ours = {v: k for k, v in _LETTERS.items()}
    if len(states) == 1 and details.get('bare', True):
        return dict(*states.values())
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
