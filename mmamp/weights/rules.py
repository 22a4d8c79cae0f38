"""Rules: what a tensor of another codebase is called here, and holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from .templates import Numbers, Template, Values

Tensors = dict[str, Tensor]
"""By the last parts of their names."""
NO_COLOURS = (
    '--bgr: no network here has images of three colours to turn around; '
    'leave it out'
)


@dataclass(frozen=True)
class Leaves:
    """Tensors of a module that belong together, on both sides.

    Args:
        theirs (tuple[str, ...]): The last parts of their names; one empty
            part is the name of the rule itself.
        ours (tuple[str, ...]): Those of ours.
        read (Callable): From theirs to ours.
        write (Callable): From ours to theirs.
        optional (tuple[str, ...]): Of theirs, which may be missing.
        lost (tuple[str, ...]): Of theirs, what cannot be computed from ours;
            the nearest is written.
    """

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    read: Callable[[Tensors], Tensors]
    write: Callable[[Tensors], Tensors]
    optional: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def one(
    read: Callable[[Tensor], Tensor], write: Callable[[Tensor], Tensor]
) -> Leaves:
    """Make leaves of one tensor that is laid out differently.

    Args:
        read (Callable): From theirs to ours.
        write (Callable): Its inverse.
    """
    return Leaves(
        ('',), ('',), lambda x: {'': read(x[''])}, lambda x: {'': write(x[''])}
    )


SAME = one(lambda x: x, lambda x: x)
"""One tensor, as it is."""
AXIS_BEFORE = one(lambda x: x[None], lambda x: x[0])
"""Ours has one more axis, of length 1, before the others."""
OF_SCALAR = one(lambda x: x.reshape(1), lambda x: x.reshape(()))
"""Theirs is a scalar, ours a vector of one."""


@dataclass(frozen=True)
class Rule:
    """Where tensors of theirs are in ours.

    Args:
        theirs (str): A :class:`~mmamp.weights.templates.Template`: their name,
            or that of the module that has the leaves.
        ours (str): Ours, with the same places.
        leaves (Leaves): Defaults to one tensor, as it is.
        colours (int, optional): The axis of our tensor that is the colours of
            an image. Defaults to None: no axis is.
    """

    theirs: str
    ours: str
    leaves: Leaves = SAME
    colours: int | None = None


@dataclass(frozen=True)
class Table:
    """All rules of one network.

    Args:
        rules (tuple[Rule, ...]): Each name is that of one rule.
        arguments (Mapping[str, Callable]): What the config's arguments would
            be, as functions of their tensors by name; None where that cannot
            be told.
        numbers (Mapping): Of the places in the rules' names. Defaults to
            none.
        optional (Mapping[str, Callable]): Our names that theirs may lack, and
            what computes each of a network with the other weights; writing
            leaves it out if reading did not find it.
        unset (Mapping[str, Any]): What arguments of the network are where
            they are None.
    """

    rules: tuple[Rule, ...]
    arguments: Mapping[str, Callable[[Mapping[str, Tensor]], Any]] = field(
        default_factory=dict
    )
    numbers: Numbers = field(default_factory=dict)
    optional: Mapping[str, Callable[[Any], Tensor]] = field(
        default_factory=dict
    )
    unset: Mapping[str, Any] = field(default_factory=dict)

    def read(self, theirs: Mapping[str, Tensor], bgr: bool) -> 'Sorted':
        """Sort their tensors into ours.

        Args:
            theirs (Mapping[str, Tensor]): By name.
            bgr (bool): Whether the colours of images are turned around.
        """
        return self._sort(theirs, bgr, ours=False)

    def write(self, ours: Mapping[str, Tensor], bgr: bool) -> 'Sorted':
        """Sort our tensors into theirs; the inverse of :meth:`read`.

        Args:
            ours (Mapping[str, Tensor]): By name.
            bgr (bool): As there.
        """
        return self._sort(ours, bgr, ours=True)

    def _sort(
        self, given: Mapping[str, Tensor], bgr: bool, ours: bool
    ) -> 'Sorted':
        result = Sorted({}, [], [], [])
        groups: dict[tuple[int, tuple[tuple[str, str], ...]], Tensors] = {}
        lines = self._lines(ours)
        for name, tensor in given.items():
            found = _place(name, lines)
            if found is None:
                result.unknown.append(name)
                continue
            index, leaf, values = found
            key = index, tuple(sorted(values.items()))
            groups.setdefault(key, {})[leaf] = tensor
        for (index, places), tensors in groups.items():
            self._convert(
                self.rules[index], dict(places), tensors, bgr, ours, result
            )
        return result

    def _lines(self, ours: bool) -> list[tuple[int, str, Template]]:
        """List the names that rules know: rule, leaf, template."""
        lines = []
        for index, rule in enumerate(self.rules):
            base = rule.ours if ours else rule.theirs
            leaves = rule.leaves
            for leaf in leaves.ours if ours else leaves.theirs:
                text = f'{base}.{leaf}' if leaf else base
                lines.append((index, leaf, Template(text, self.numbers, ours)))
        return lines

    def _convert(
        self,
        rule: Rule,
        values: Values,
        tensors: Tensors,
        bgr: bool,
        ours: bool,
        result: 'Sorted',
    ) -> None:
        leaves = rule.leaves
        sources = (
            (rule.ours, rule.theirs) if ours else (rule.theirs, rule.ours)
        )
        base, target = (
            Template(text, self.numbers, is_ours).fill(values)
            for text, is_ours in zip(sources, (ours, not ours), strict=True)
        )
        needed = leaves.ours if ours else leaves.theirs
        missing = [
            leaf
            for leaf in needed
            if leaf not in tensors and (ours or leaf not in leaves.optional)
        ]
        if missing:
            result.missing += [_joined(base, leaf) for leaf in missing]
            return
        turns = bgr and rule.colours is not None
        if ours and turns:
            tensors = result.turn(tensors, rule.colours)
        made = (leaves.write if ours else leaves.read)(tensors)
        if not ours and turns:
            made = result.turn(made, rule.colours)
        if not ours:
            result.lost += [
                _joined(base, leaf) for leaf in leaves.lost if leaf in tensors
            ]
        for leaf, tensor in made.items():
            result.tensors[_joined(target, leaf)] = tensor


@dataclass
class Sorted:
    """What became of tensors.

    Args:
        tensors (dict[str, Tensor]): Under their new names.
        unknown (list[str]): Names that no rule has.
        missing (list[str]): Names that a rule needs beside one that is there.
        lost (list[str]): Names of what cannot be computed back.
        is_turned (bool): Whether colours of images were turned around.
    """

    tensors: Tensors
    unknown: list[str]
    missing: list[str]
    lost: list[str]
    is_turned: bool = False

    def turn(self, given: Tensors, axis: int | None) -> Tensors:
        """Turn colours around, and note whether there are three.

        Args:
            given (dict[str, Tensor]): Ours, by the last parts of their names.
            axis (int, optional): Of the weight, that is colours.
        """
        made = _turned(given, axis)
        self.is_turned |= any(made[k] is not x for k, x in given.items())
        return made


def _joined(base: str, leaf: str) -> str:
    return f'{base}.{leaf}' if leaf else base


def _place(
    name: str, lines: list[tuple[int, str, Template]]
) -> tuple[int, str, Values] | None:
    """Find the rule of a name."""
    for index, leaf, template in lines:
        values = template.match(name)
        if values is not None:
            return index, leaf, values
    return None


def _turned(tensors: Tensors, axis: int | None) -> Tensors:
    """Turn the three colours of each image around.

    Vectors beside a weight, as spectral norm has them, turn with it.
    """
    if axis is None:
        return tensors
    weight = next((x for x in tensors.values() if x.dim() > 1), None)
    return {k: _turned_one(x, axis, weight) for k, x in tensors.items()}


def _turned_one(x: Tensor, axis: int, weight: Tensor | None) -> Tensor:
    if x.dim() == 1 and axis and weight is not None:
        # Of all that an output of the weight sees.
        if x.numel() != weight[0].numel():
            return x
        return _flipped(x.unflatten(0, weight.shape[1:]), 0).flatten()
    if x.dim() == 1 and weight is not None and len(x) != len(weight):
        return x
    return _flipped(x, axis)


def _flipped(x: Tensor, axis: int) -> Tensor:
    if axis >= x.dim() or x.shape[axis] % 3:
        return x
    turned: Tensor = x.unflatten(axis, (-1, 3)).flip(axis + 1)
    return turned.flatten(axis, axis + 1)
