"""From a model's state to the files of other codebases."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from mmamp.errors import UsageError
from mmamp.utils.listing import listed

from .format import Format, networks_of, table_of
from .layouts import EMA, Parts, States
from .reading import SHOWN, Reading


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
            for lacking in details.get('lacking', ()):
                own.pop(lacking, None)
            if not own or (wanted and name not in wanted):
                continue
            result = table.write(own, bgr)
            if result.unknown or result.missing:
                raise UsageError(
                    f'{name} cannot be written as {chosen.name}: no rule '
                    f'for {listed(result.unknown + result.missing, SHOWN)}'
                )
            states[name] = {**result.tensors, **kept.get(name, {})}
    return states


def describe(
    reading: Reading, parts: Parts, domains: Sequence[str] | None, bgr: bool
) -> dict[str, Any]:
    """Return what a checkpoint says of where its weights are from."""
    return dict(
        format=reading.format.name,
        networks=list(parts.states),
        kept=reading.kept,
        lacking=reading.lacking,
        bgr=bgr,
        domains=list(domains or parts.details.get('domains', ())),
        **{k: v for k, v in parts.details.items() if k != 'domains'},
    )
