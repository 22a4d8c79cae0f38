"""Which module runs in which rule's precision."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from mmengine.model import BaseAveragedModel
from torch import nn

from mmamp.utils.modules import named_modules

from .islands import Island
from .rules import Rule


@dataclass
class Placed:
    """A module that a rule has made an island.

    Attributes:
        rule (Rule): The rule.
        name (str): The module's.
        module (nn.Module): The module.
        island (Island): What stands in place of its forward.
        is_matched (bool): Whether the rule names it; if not, it is inside of
            one that it names.
        is_averaged (bool): Whether it is inside of an averaged model, which
            only evaluation runs.
    """

    rule: Rule
    name: str
    module: nn.Module
    island: Island
    is_matched: bool
    is_averaged: bool


@dataclass(frozen=True)
class Place:
    """A place of a module in a model, where rules may find it.

    Attributes:
        names (list[str]): What it is called; the first is its own.
        module (nn.Module): The module.
        is_averaged (bool): Whether it is inside of an averaged model.
        is_of_weight (bool): Whether it makes a weight of a module, such as
            torch's parametrised norms: only rules on these are for it.
    """

    names: list[str]
    module: nn.Module
    is_averaged: bool
    is_of_weight: bool


def places_of(model: nn.Module) -> list[Place]:
    """Return where rules may find modules, those around others first.

    Not inside of a ``ScriptModule``, which runs without Python; the whole of
    it may be under a rule.

    Args:
        model (nn.Module): In model wrappers or not.
    """
    found = []
    scripted: tuple[str, ...] = ()
    averaged: tuple[str, ...] = ()
    for names, module in named_modules(model):
        name = names[0]
        if scripted and name.startswith(scripted):
            continue
        if isinstance(module, torch.jit.ScriptModule):
            scripted += (f'{name}.',)
        if isinstance(module, BaseAveragedModel):
            averaged += (f'{name}.',)
        found.append(
            Place(
                names,
                module,
                bool(averaged) and name.startswith(averaged),
                'parametrizations' in name.split('.'),
            )
        )
    return found


def place(rules: Sequence[Rule], places: Iterable[Place]) -> list[Placed]:
    """Install rules, each in what it matches and in what is inside of that.

    Args:
        rules (Sequence[Rule]): The first that matches a module holds; what
            they matched is noted in them.
        places (Iterable[Place]): From :func:`places_of`.

    Returns:
        list[Placed]: The islands that there are now.
    """
    found: list[Placed] = []
    places = list(places)
    chosen = {p.names[0]: _rules_for(rules, p) for p in places}
    for p in places:
        for rule in chosen[p.names[0]]:
            rule.matched.append(p.names[0])
            if island := rule.install(p.module):
                found.append(_placed(rule, p, island, True))
    ruled = {
        name: rule
        for name, some in chosen.items()
        for rule in some
        if not rule.of_norm
    }
    around: dict[nn.Module, list[Rule | None]] = {}
    for p in places:
        nearest = next((ruled[x] for x in _outwards(p) if x in ruled), None)
        around.setdefault(p.module, []).append(nearest)
    done = {x.module for x in found}
    for p in places:
        inside_of, *others = around[p.module]
        if inside_of is None or p.is_of_weight or p.module in done:
            continue
        # One that is also used elsewhere has no precision of its own.
        if any(other is not inside_of for other in others):
            continue
        done.add(p.module)
        if island := inside_of.install_inside(p.module):
            found.append(_placed(inside_of, p, island, False))
    return found


def _placed(
    rule: Rule, place: Place, island: Island, is_matched: bool
) -> Placed:
    return Placed(
        rule,
        place.names[0],
        place.module,
        island,
        is_matched,
        place.is_averaged,
    )


def _rules_for(rules: Sequence[Rule], place: Place) -> list[Rule]:
    """Return the rule of a module, and that of the norm of its weight."""
    found = [
        rule
        for rule in rules
        if any(rule.matches(name, place.module) for name in place.names)
    ]
    first = [rule for rule in found if not rule.of_norm][:1]
    if place.is_of_weight:
        first = []
    return first + [rule for rule in found if rule.of_norm][:1]


def _outwards(place: Place) -> Iterator[str]:
    """Yield the names of a module and of those around it, from inside out."""
    name = place.names[0]
    while name:
        yield name
        name = name.rpartition('.')[0]
    yield ''
