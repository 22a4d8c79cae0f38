"""Whether what a checkpoint holds is of the model that takes it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Misfit(NamedTuple):
    """A value of a model that a checkpoint cannot give.

    Args:
        name (str): Of the parameter or buffer.
        given (str or None): Its shape in the checkpoint; None if it is not
            there.
        own (str): Its shape in the model.
    """

    name: str
    given: str | None
    own: str

    def __str__(self) -> str:
        given = f'{self.given or "not"} in the checkpoint'
        return f'{self.name} ({given}, {self.own} in the model)'


def misfits(own: Mapping[str, Any], given: Mapping[str, Any]) -> list[Misfit]:
    """Find the values of a model that a checkpoint cannot give.

    Args:
        own (Mapping): The model's state.
        given (Mapping): The checkpoint's, under the same names.
    """
    shapes = (
        (name, _shape(given[name]) if name in given else None, _shape(value))
        for name, value in own.items()
        # What is empty gets its shape with the weights.
        if not hasattr(value, 'numel') or value.numel()
    )
    return [Misfit(*one) for one in shapes if one[1] != one[2]]


def such_as(found: Sequence[Misfit], shown: int = 3) -> str:
    """Name the first misfits.

    Args:
        found (Sequence[Misfit]): All of them.
        shown (int): How many are named. Defaults to 3.
    """
    return ', '.join(map(str, found[:shown]))


def _shape(value: Any) -> str:
    return str(tuple(getattr(value, 'shape', (type(value).__name__,))))
