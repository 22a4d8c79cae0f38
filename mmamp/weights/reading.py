"""From the files of other codebases to a model's state."""

import inspect
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mmamp.checkpoint.fit import misfits, such_as
from mmamp.errors import UsageError
from mmamp.models.base.standing_statistics import OWN
from mmamp.registry import MODELS
from mmamp.utils.listing import listed

from .format import Format, networks_of, table_of
from .formats import FORMATS
from .layouts import COUNT, EMA, SHOWN, Parts, States
from .rules import NO_COLOURS, Table


@dataclass
class Reading:
    """What a model gets of a file.

    Args:
        format (Format): Of the file.
        state (dict[str, Tensor]): The model's, all of it.
        kept (dict[str, dict[str, Tensor]]): By network, what cannot be
            computed from it, under their names.
        lacking (list[str]): Of a network, what the file may lack and lacks.
        notes (list[str]): What a user should know, in sentences.
        is_turned (bool): Whether colours of images were turned around.
    """

    format: Format
    state: dict[str, Tensor] = field(default_factory=dict)
    kept: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    lacking: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    is_turned: bool = False


def read(
    model: nn.Module,
    configs: Mapping[str, Any],
    parts: Parts,
    name: str | None = None,
    bgr: bool = False,
) -> Reading:
    """Read the weights of a file into a model's state.

    Args:
        model (nn.Module): Which is left as it is.
        configs (Mapping[str, dict]): Of ``'generator'`` and
            ``'discriminator'``, as the config has them.
        parts (Parts): What is in the file.
        name (str, optional): Of the format. Defaults to None: that whose
            names they are.
        bgr (bool): Whether the images of theirs are BGR. Defaults to False.

    Raises:
        UsageError: If they are not the model's weights, or of no format.
    """
    if name is not None:
        return _read(model, configs, parts, FORMATS[name], bgr)
    chosen = _nearest(model, parts.states)
    if chosen is None:
        networks = ', '.join(
            sorted({type(x).__name__ for x in networks_of(model).values()})
        )
        raise UsageError(
            f'no format knows networks such as {networks}: see the table of '
            'docs/en/weights.md'
        )
    return _read(model, configs, parts, chosen, bgr)


def _nearest(model: nn.Module, states: States) -> Format | None:
    """Find the format that knows the most of the names."""
    best: tuple[float, Format] | None = None
    networks = networks_of(model)
    for one in FORMATS.values():
        known = total = 0
        for name, tensors in states.items():
            network = networks.get(name.removesuffix(EMA))
            total += len(tensors)
            make = one.tables.get(type(network))  # type: ignore[arg-type]
            if make is None:
                continue
            unknown = make(network).read(tensors, bgr=False).unknown
            known += len(tensors) - len(unknown)
        share = known / max(total, 1)
        if known and (best is None or share > best[0]):
            best = share, one
    if best is not None:
        return best[1]
    classes = {type(x) for x in networks.values()}
    return next((x for x in FORMATS.values() if classes & set(x.tables)), None)


def _read(
    model: Any,
    configs: Mapping[str, Any],
    parts: Parts,
    chosen: Format,
    bgr: bool,
) -> Reading:
    reading = Reading(chosen)
    networks = networks_of(model)
    state = {k: v.clone() for k, v in model.state_dict().items()}
    states = _with_average(model, parts.states, reading)
    for name, tensors in states.items():
        base = name.removesuffix(EMA)
        if base not in networks:
            raise UsageError(
                f'SOURCE has weights of a {name}, but the model has '
                f'{", ".join(networks)}'
            )
        table = table_of(chosen, base, networks[base])
        if 2 * len(table.read(tensors, bgr=False).unknown) < len(tensors):
            # Of another codebase the names of its tensors say more.
            _check_arguments(base, configs, table, tensors)
        _fill(state, name, networks[base], table, tensors, bgr, reading)
    if bgr and not reading.is_turned:
        raise UsageError(NO_COLOURS)
    for name in networks:
        if name not in states:
            reading.notes.append(
                f'SOURCE has no {name}: it begins with fresh weights'
            )
    if parts.rest:
        reading.notes.append(
            'left out, as the model has nothing of the kind: '
            f'{listed(sorted(parts.rest), SHOWN)}'
        )
    _set_steps(state, states, parts)
    reading.state = state
    return reading


def _with_average(model: Any, states: States, reading: Reading) -> States:
    """Give averages what there is, and generators that have only those."""
    states = dict(states)
    for name in [x for x in states if not x.endswith(EMA)] + [
        x.removesuffix(EMA) for x in states if x.endswith(EMA)
    ]:
        ema = f'{name}{EMA}'
        if name not in states:
            states[name] = states[ema]
            reading.notes.append(
                f'SOURCE has the average alone: {name} gets it too'
            )
        has_average = getattr(model, ema, None) is not None
        if has_average and ema not in states:
            states[ema] = states[name]
            reading.notes.append(
                f'SOURCE has no average: {ema} gets the weights of {name}'
            )
        if (
            not has_average
            and ema in states
            and states[ema] is not states[name]
        ):
            del states[ema]
            reading.notes.append(
                f'left out: the average {ema}, which the config has not; add '
                'ema_config'
            )
        elif not has_average:
            states.pop(ema, None)
    return states


def _set_steps(state: dict[str, Tensor], states: States, parts: Parts) -> None:
    """Say that an average has begun, where it is one."""
    for name in states:
        if name.endswith(EMA) and name in parts.states:
            steps = parts.details.get('steps', 1)
            state[f'{name}.steps'] = torch.full_like(
                state[f'{name}.steps'], steps
            )


def _check_arguments(
    name: str,
    configs: Mapping[str, Any],
    table: Table,
    tensors: Mapping[str, Tensor],
) -> None:
    """Compare what the weights tell of the config with the config."""
    role = name.split('_')[0]
    cfg = configs.get(role)
    if not isinstance(cfg, Mapping):
        return
    wrong = []
    for argument, tell in table.arguments.items():
        told, own = tell(tensors), _argument(cfg, argument, table)
        if told is not None and told != own:
            wrong.append(f'{argument}={told!r} ({own!r} in the config)')
    if wrong:
        raise UsageError(
            f'SOURCE has a {name} of another shape than the config: set '
            f'model.{role}.{", ".join(wrong)}'
        )


def _argument(cfg: Mapping[str, Any], name: str, table: Table) -> Any:
    """Return an argument of a network, whether the config has it or not."""
    cls = cfg['type']
    cls = MODELS.get(cls) if isinstance(cls, str) else cls
    default = inspect.signature(cls.__init__).parameters[name].default
    own = cfg.get(name, default)
    return table.unset.get(name) if own is None else own


def _fill(
    state: dict[str, Tensor],
    name: str,
    network: nn.Module,
    table: Table,
    tensors: Mapping[str, Tensor],
    bgr: bool,
    reading: Reading,
) -> None:
    """Put the converted weights of a network into a model's state."""
    sorted_ = table.read(tensors, bgr)
    reading.is_turned |= sorted_.is_turned
    own = network.state_dict()
    lacking = [x for x in own if x not in sorted_.tensors]
    missing = [x for x in lacking if x not in table.optional]
    if sorted_.unknown or sorted_.missing or missing:
        raise UsageError(
            f'SOURCE is not {reading.format.name} of this config, {name}: '
            + '; '.join(
                f'{what}: {listed(names, SHOWN)}'
                for what, names in (
                    ('keys that are left over', sorted_.unknown),
                    ('keys that are missing', sorted_.missing),
                    ('of the model nothing is given for', missing),
                )
                if names
            )
        )
    if wrong := misfits(own, {k: own[k] for k in lacking} | sorted_.tensors):
        raise UsageError(
            f'SOURCE has a {name} of other shapes than the config: '
            f'{len(wrong)} of {len(own)} do not fit, such as '
            f'{such_as(wrong)}'
        )
    given = sorted_.tensors
    if lacking:
        given = given | _computed(network, table, own | given, lacking)
        reading.lacking += lacking
        reading.notes.append(
            f'SOURCE has no {listed(lacking, SHOWN)} of the {name}: it is '
            'computed'
        )
    prefix = f'{name}.module' if name.endswith(EMA) else name
    lost = list(sorted_.lost)
    if name.endswith(EMA):
        given = given | _own_statistics(given)
        lost += [x for x in tensors if x.endswith(COUNT)]
    for key, tensor in given.items():
        target = state[f'{prefix}.{key}']
        state[f'{prefix}.{key}'] = tensor.to(target.dtype).contiguous()
    reading.kept[name] = {x: tensors[x].clone() for x in lost}


def _own_statistics(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Mark an average's statistics, or they would be estimated anew."""
    return {
        name: torch.full_like(x, OWN)
        for name, x in weights.items()
        if name.endswith(COUNT)
    }


def _computed(
    network: nn.Module,
    table: Table,
    weights: dict[str, Tensor],
    names: list[str],
) -> dict[str, Tensor]:
    """Compute of a network what its file lacks."""
    network = deepcopy(network)
    network.load_state_dict(weights)
    return {name: table.optional[name](network) for name in names}
