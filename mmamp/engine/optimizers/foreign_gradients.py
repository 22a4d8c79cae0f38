"""Gradients that another optimizer's backward pass has made."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar
from weakref import WeakSet

from torch import Tensor, nn
from torch.utils.weak import TensorWeakRef

from mmamp.compat.torch import times_changed

from .loss_scaler import LossScaler


@dataclass(frozen=True, eq=False)
class Origin:
    """Whose backward pass has made gradients, and at which loss scale.

    Attributes:
        who (str): The wrapper.
        scaler (LossScaler): Its scaler.
        scale (Tensor, optional): Of its window; None where there is none.
    """

    who: str
    scaler: LossScaler
    scale: Tensor | None


_Seen = tuple[Tensor, int]
"""A gradient, and how often it was changed in place."""


class ForeignGradients:
    """What of an optimizer's gradients others' backward passes have made.

    A loss may depend on parameters of several optimizers. Which of them its
    backward pass has reached is seen by their gradients before and after, so
    that those of a ``loss.backward()`` by hand are nobody's.

    Args:
        params (Callable): Returns the optimizer's parameters.
        has_scale (Callable): Tells whether it trains with a loss scale; where
            nobody does, nobody looks.
    """

    _everybody: ClassVar[WeakSet['ForeignGradients']] = WeakSet()

    def __init__(
        self,
        params: Callable[[], list[nn.Parameter]],
        has_scale: Callable[[], bool],
    ) -> None:
        self._params, self._has_scale = params, has_scale
        self._made: list[tuple[Origin, list[tuple[Any, int]]]] = []
        self._everybody.add(self)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_made': []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._everybody.add(self)

    @contextmanager
    def backward(self, origin: Origin) -> Iterator[None]:
        """Have the others know which gradients a backward pass makes.

        Args:
            origin (Origin): This optimizer's.
        """
        others = [
            (other, other._now())
            for other in self._everybody
            if other is not self
            and (origin.scale is not None or other._has_scale())
        ]
        yield
        for other, before in others:
            other._note(origin, before)

    def _now(self) -> list[_Seen | None]:
        grads = [param.grad for param in self._params()]
        return [None if g is None else (g, times_changed(g)) for g in grads]

    def _note(self, origin: Origin, before: list[_Seen | None]) -> None:
        made = [
            (TensorWeakRef(now[0]), now[1])
            for now, then in zip(self._now(), before, strict=True)
            if now is not None
            and (then is None or now[0] is not then[0] or now[1] != then[1])
        ]
        if made:
            self._made = [
                x
                for x in self._made
                if x[0].scaler is not origin.scaler
                or x[0].scale is not origin.scale
            ]
            self._made.append((origin, made))

    def origins(self, as_made: bool = False) -> list[Origin]:
        """Return who has made gradients that are still there.

        Args:
            as_made (bool): Whether those do not count that somebody has
                changed in place since, such as to zero. Defaults to False.
        """
        versions = {id(x[0]): x[1] for x in self._now() if x is not None}
        self._made = [
            (origin, made)
            for origin, made in self._made
            if any(
                id(grad()) in versions
                and (not as_made or versions[id(grad())] == version)
                for grad, version in made
            )
        ]
        return [origin for origin, _ in self._made]

    def forget(self) -> None:
        """Have them be dropped."""
        self._made = []
