"""What schedulers have in common whose values are told by a formula."""

import math
from typing import Any

from mmamp.compat.mmengine import ParamScheduler

FOREVER = int(1e9)


class ByFormula(ParamScheduler):
    """Tells the value of each step, counted from ``begin``, by a formula."""

    @classmethod
    def build_iter_from_epoch(
        cls,
        *args: Any,
        begin: float = 0,
        end: float = FOREVER,
        by_epoch: bool = True,
        epoch_length: int,
        **kwargs: Any,
    ) -> Any:
        """Build one of iterations whose ends are in epochs.

        Args:
            *args: As of the class.
            begin (float): In epochs. Defaults to 0.
            end (float): In epochs. Defaults to 1e9.
            by_epoch (bool): The registry sees to it. Defaults to True.
            epoch_length (int): Iterations of an epoch; the runner gives it.
            **kwargs: As of the class.

        Returns:
            ParamScheduler: Of the class.
        """
        return cls(
            *args,
            begin=int(begin * epoch_length),
            end=int(end * epoch_length),
            by_epoch=False,
            **kwargs,
        )

    def _at(self, base: float, step: int) -> float:
        """Return the value of a step, counted from ``begin``."""
        raise NotImplementedError


class OnTop(ByFormula):
    """Multiplies what there is by the change of a formula in each step.

    It goes with other schedulers, such as a warm-up, which scale all of it.
    """

    def _get_value(self) -> list[float]:
        """Return the current values, times what this step changes."""
        name = self.param_name
        return [
            # A group that was added later has no other base.
            group[name]
            * self._change(group.get(f'initial_{name}', group[name]))
            for group in self.optimizer.param_groups
        ]

    def _change(self, base: float) -> float:
        step = self.last_step
        before = self._at(base, step - 1) if step else base
        # Down at zero it stays there.
        return self._at(base, step) / before if before else 1.0


def cosine(first: float, last: float, part: float) -> float:
    """Return a value along half a wave of a cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * part)) / 2


def straight(first: float, last: float, part: float) -> float:
    """Return a value on the way from one to another."""
    return first + (last - first) * part
