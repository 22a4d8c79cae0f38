"""Schedules of MMEngine that are at their goal at ``end``.

MMEngine's own are there a step before, in the last one that they have. Where
both ends are in epochs and the steps are iterations, no ``end`` of a config
makes up for it: how many iterations an epoch has is not known in it.
"""

from typing import Any

from mmengine.optim import ConstantLR, LinearLR, PolyLR
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin

from mmamp.registry import PARAM_SCHEDULERS

from .on_top import FOREVER, OnTop, cosine


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
class PolyLrToEnd(OnTop, PolyLR):
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

    def _at(self, base: float, step: int) -> float:
        minimum: float = self.eta_min
        left: float = (1 - step / self.total_iters) ** self.power
        return (base - minimum) * left + minimum


@PARAM_SCHEDULERS.register_module()
class CosineLrToEnd(LRSchedulerMixin, OnTop):
    """MMEngine's ``CosineAnnealingLR``, on top of other schedulers.

    The learning rate of step ``i`` is::

        eta_min + (lr - eta_min)
            * (1 + cos(pi * (i - begin) / (end - begin))) / 2

    This is what ``policy='CosineAnnealing'`` was in MMCV: a warm-up scales
    ``eta_min`` too.

    Args:
        optimizer (OptimWrapper or Optimizer): Given by the runner.
        eta_min (float): The learning rate at ``end``. Defaults to 0.
        eta_min_ratio (float, optional): The same as a share of the learning
            rate. Defaults to None: ``eta_min`` counts.
        begin (int): When it starts. Defaults to 0.
        end (int): The step at which it is ``eta_min``. Defaults to 1e9; the
            runner gives the length of the run if it is not set.
        **kwargs: ``by_epoch``, ``last_step`` and ``verbose``, as everywhere
            in MMEngine.

    Raises:
        ValueError: If ``eta_min`` and ``eta_min_ratio`` are both set.

    Examples:
        >>> param_scheduler = dict(
        ...     type='mmamp.CosineLrToEnd', eta_min=1e-5, by_epoch=True,
        ...     begin=0, end=100, convert_to_iter_based=True)
    """

    def __init__(
        self,
        optimizer: Any,
        eta_min: float = 0.0,
        eta_min_ratio: float | None = None,
        begin: int = 0,
        end: int = FOREVER,
        **kwargs: Any,
    ) -> None:
        if eta_min and eta_min_ratio is not None:
            raise ValueError(
                f'eta_min={eta_min!r} and eta_min_ratio={eta_min_ratio!r} are '
                'both set: take one of them'
            )
        self.eta_min, self.eta_min_ratio = eta_min, eta_min_ratio
        self.total = end - begin
        super().__init__(optimizer, begin=begin, end=end + 1, **kwargs)

    def _at(self, base: float, step: int) -> float:
        ratio = self.eta_min_ratio
        last = self.eta_min if ratio is None else base * ratio
        return cosine(base, last, step / self.total)


@PARAM_SCHEDULERS.register_module()
class ExponentialLrToEnd(LRSchedulerMixin, OnTop):
    """A learning rate that grows by the same factor in each step.

    The learning rate of step ``i`` is multiplied by::

        start_factor ** (1 - (i - begin) / (end - begin))

    This is what ``warmup='exp'`` was in MMCV.

    Args:
        optimizer (OptimWrapper or Optimizer): Given by the runner.
        start_factor (float): At ``begin``.
        begin (int): When it starts. Defaults to 0.
        end (int): The step from which on it is whole. Defaults to 1e9; the
            runner gives the length of the run if it is not set.
        **kwargs: ``by_epoch``, ``last_step`` and ``verbose``, as everywhere
            in MMEngine.

    Raises:
        ValueError: If ``start_factor`` is not positive.

    Examples:
        >>> param_scheduler = dict(
        ...     type='mmamp.ExponentialLrToEnd', start_factor=0.1,
        ...     by_epoch=True, begin=0, end=5, convert_to_iter_based=True)
    """

    def __init__(
        self,
        optimizer: Any,
        start_factor: float,
        begin: int = 0,
        end: int = FOREVER,
        **kwargs: Any,
    ) -> None:
        if not start_factor > 0:
            raise ValueError(
                f'start_factor must be > 0, but got {start_factor!r}'
            )
        self.start_factor = start_factor
        self.total = end - begin
        super().__init__(optimizer, begin=begin, end=end + 1, **kwargs)

    def _at(self, base: float, step: int) -> float:
        factor: float = self.start_factor ** (1 - step / self.total)
        return base * factor
