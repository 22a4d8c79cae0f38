"""Schedules of MMEngine that are at their goal at ``end``.

MMEngine's own are there a step before, in the last one that they have. Where
both ends are in epochs and the steps are iterations, no ``end`` of a config
makes up for it: how many iterations an epoch has is not known in it.
"""

from typing import Any

from mmengine.optim import ConstantLR, LinearLR, PolyLR

from mmamp.registry import PARAM_SCHEDULERS

FOREVER = int(1e9)


@PARAM_SCHEDULERS.register_module()
class LinearLrToEnd(LinearLR):
    """MMEngine's ``LinearLR``, at its goal at ``end``.

    The learning rate of step ``i`` is multiplied by::

        start_factor
            + (end_factor - start_factor) * (i - begin) / (end - begin)

    This is what ``warmup='linear'`` was in MMCV.

    Args:
        optimizer (OptimWrapper or Optimizer): Given by the runner.
        *args: As of ``LinearLR``.
        end (int): The step from which on it is ``end_factor``. Defaults to
            1e9; the runner gives the length of the run if it is not set.
        **kwargs: As of ``LinearLR``.

    Examples:
        >>> param_scheduler = dict(
        ...     type='mmamp.LinearLrToEnd', start_factor=0.001, by_epoch=True,
        ...     begin=0, end=5, convert_to_iter_based=True)
    """

    def __init__(
        self, optimizer: Any, *args: Any, end: int = FOREVER, **kwargs: Any
    ) -> None:
        super().__init__(optimizer, *args, end=end + 1, **kwargs)


@PARAM_SCHEDULERS.register_module()
class ConstantLrToEnd(ConstantLR):
    """MMEngine's ``ConstantLR``, up to ``end``.

    The learning rate is multiplied by ``factor`` in each step before ``end``.
    This is what ``warmup='constant'`` was in MMCV.

    Args:
        optimizer (OptimWrapper or Optimizer): Given by the runner.
        *args: As of ``ConstantLR``.
        end (int): The step from which on it is whole. Defaults to 1e9; the
            runner gives the length of the run if it is not set.
        **kwargs: As of ``ConstantLR``.

    Examples:
        >>> param_scheduler = dict(
        ...     type='mmamp.ConstantLrToEnd', factor=0.1, by_epoch=True,
        ...     begin=0, end=5, convert_to_iter_based=True)
    """

    def __init__(
        self, optimizer: Any, *args: Any, end: int = FOREVER, **kwargs: Any
    ) -> None:
        super().__init__(optimizer, *args, end=end + 1, **kwargs)


@PARAM_SCHEDULERS.register_module()
class PolyLrToEnd(PolyLR):
    """MMEngine's ``PolyLR``, at its goal at ``end``.

    The learning rate of step ``i`` is::

        (lr - eta_min) * (1 - (i - begin) / (end - begin)) ** power + eta_min

    This is what ``policy='poly'`` was in MMCV. It works on top of other
    schedulers: a warm-up scales ``eta_min`` too.

    Args:
        optimizer (OptimWrapper or Optimizer): Given by the runner.
        *args: As of ``PolyLR``.
        end (int): The step at which it would be ``eta_min``. Defaults to 1e9;
            the runner gives the length of the run if it is not set.
        **kwargs: As of ``PolyLR``.

    Examples:
        >>> param_scheduler = dict(
        ...     type='mmamp.PolyLrToEnd', power=0.9, eta_min=1e-4,
        ...     by_epoch=True, begin=0, end=100, convert_to_iter_based=True)
    """

    def __init__(
        self, optimizer: Any, *args: Any, end: int = FOREVER, **kwargs: Any
    ) -> None:
        super().__init__(optimizer, *args, end=end + 1, **kwargs)

    def _get_value(self) -> list[float]:
        """Return the current values, times what this step changes."""
        return [
            group[self.param_name] * self._change(base)
            for group, base in zip(
                self.optimizer.param_groups, self.base_values, strict=True
            )
        ]

    def _change(self, base: float) -> float:
        if self.last_step == 0:
            return 1.0
        before = self._at(base, self.last_step - 1)
        # Down at zero it stays there.
        return self._at(base, self.last_step) / before if before else 1.0

    def _at(self, base: float, step: int) -> float:
        minimum: float = self.eta_min
        left: float = (1 - step / self.total_iters) ** self.power
        return (base - minimum) * left + minimum
