"""What is known of a project beside the file at hand."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from .toolboxes import PACKAGES

GRAD = ('mmamp.AmpOptimWrapper', 'AmpOptimWrapper')


class Wrappers(NamedTuple):
    """What the migrated config of a model has as ``optim_wrapper``.

    Args:
        is_single (bool): Whether it is one, and not one for each network.
        have_grad (bool): Whether each has a method ``grad``.
    """

    is_single: bool
    have_grad: bool


@dataclass(frozen=True)
class Project:
    """What is known of a project beside the file at hand.

    Args:
        target (str): The toolbox that the migrated project is for, one of
            ``PACKAGES``. Defaults to '': it is looked for.
        ends_by_hand (bool): Whether warm-ups and polynomial schedules end a
            step early, as in most configs that were written for 1.x. Defaults
            to False: at every step the learning rate is that of 0.x.
        wrappers (Mapping[str, Collection[Wrappers]]): What the configs of
            models have, by the model's class. Defaults to none.
        classes (Mapping[str, Collection[str]]): The classes that the code
            defines, and the names of their bases. Defaults to none.
    """

    target: str = ''
    ends_by_hand: bool = False
    wrappers: Mapping[str, Collection[Wrappers]] = field(default_factory=dict)
    classes: Mapping[str, Collection[str]] = field(default_factory=dict)

    @property
    def registry(self) -> str:
        """str: The module that has the registries."""
        return f'{PACKAGES[self.target or "mmamp"]}.registry'

    def wrappers_of(self, model: str) -> set[Wrappers]:
        """Find what configs have for a model, or for what derives from it.

        Args:
            model (str): Name of its class.
        """
        heirs, left = set(), [model]
        while left:
            name = left.pop()
            if name not in heirs:
                heirs.add(name)
                left += [x for x, y in self.classes.items() if name in y]
        return {x for name in heirs for x in self.wrappers.get(name, ())}
