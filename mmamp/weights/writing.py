"""From a model's state to the files of other codebases."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mmamp.errors import UsageError
from mmamp.utils.listing import listed

from .format import Format, networks_of, table_of
from .layouts import COUNT, EMA, SHOWN, Parts, States
from .reading import Reading
from .rules import NO_COLOURS


def write(
    model: Any,
    state: Mapping[str, Tensor],
    chosen: Format,
    details: Mapping[str, Any],
    bgr: bool = False,
) -> States:
    """Write a model's networks as a format has them.

    Args:
        model (nn.Module): What the state is of.
        state (Mapping[str, Tensor]): Its weights.
        chosen (Format): The format.
        details (Mapping[str, Any]): What reading left in the checkpoint:
            ``kept``, and whether SOURCE had each network in ``networks``.
        bgr (bool): Whether the images of theirs are BGR. Defaults to False.

    Returns:
        dict[str, dict[str, Tensor]]: Their tensors by network.

    Raises:
        UsageError: If a network is not of the format.
    """
    states: States = {}
    is_turned = False
    kept = details.get('kept', {})
    for base, network in networks_of(model).items():
        table = table_of(chosen, base, network)
        for name, prefix in (
            (base, base),
            (f'{base}{EMA}', f'{base}{EMA}.module'),
        ):
            wanted = details.get('networks')
            own = {
                k.removeprefix(f'{prefix}.'): v
                for k, v in state.items()
                if k.startswith(f'{prefix}.')
            }
            if name != base:
                own |= _counts(own, state, base)
            for lacking in details.get('lacking', ()):
                own.pop(lacking, None)
            if not own or (wanted and name not in wanted):
                continue
            result = table.write(own, bgr)
            is_turned |= result.is_turned
            if result.unknown or result.missing:
                raise UsageError(
                    f'{name} cannot be written as {chosen.name}: no rule '
                    f'for {listed(result.unknown + result.missing, SHOWN)}'
                )
            states[name] = {**result.tensors, **kept.get(name, {})}
    if bgr and not is_turned:
        raise UsageError(NO_COLOURS)
    return states


def _counts(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], base: str
) -> dict[str, Tensor]:
    """Give an average the counts of its generator, as theirs have them.

    Ours are marks of whose the statistics are.
    """
    return {k: state[f'{base}.{k}'] for k in own if k.endswith(COUNT)}


def with_domains(
    chosen: Format, details: Mapping[str, Any], domains: Sequence[str] | None
) -> dict[str, Any]:
    """Return details that say what networks are called by.

    Args:
        chosen (Format): The format.
        details (Mapping[str, Any]): What reading left in the checkpoint.
        domains (Sequence[str], optional): What a user calls them by; None for
            as they were.

    Raises:
        UsageError: If they are not as many as the format has.
    """
    names = list(domains or details.get('domains', ()))
    if len(names) == len(set(names)) == chosen.domains:
        return {**details, 'domains': names}
    found = f'--domains {" ".join(names)}: ' if names else ''
    raise UsageError(
        found
        + {
            0: f'{chosen.name} calls no network by a domain; leave it out',
            1: f'{chosen.name} calls its networks by the domain of what they '
            'make: give --domains B, such as photo',
            2: f'{chosen.name} calls its networks by two domains: give '
            "--domains A B, where A is that of the config's inputs, such as "
            'horse zebra',
        }[chosen.domains]
    )


def describe(reading: Reading, parts: Parts, bgr: bool) -> dict[str, Any]:
    """Return what a checkpoint says of where its weights are from.

    Args:
        reading (Reading): What a model got.
        parts (Parts): Of what.
        bgr (bool): Whether the images of theirs are BGR.
    """
    return dict(
        format=reading.format.name,
        networks=list(parts.states),
        kept=reading.kept,
        lacking=reading.lacking,
        bgr=bgr,
        **parts.details,
    )
