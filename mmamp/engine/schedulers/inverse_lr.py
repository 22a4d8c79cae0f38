"""A learning rate that goes down with the inverse of the time."""

from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin

from mmamp.registry import PARAM_SCHEDULERS

from .on_top import OnTop


@PARAM_SCHEDULERS.register_module()
class InverseLr(LRSchedulerMixin, OnTop):
    """A learning rate that goes down with the inverse of the time.

    The learning rate of step ``i`` is multiplied by::

        (1 + gamma * (i - begin)) ** -power

    This is what ``policy='inv'`` was in MMCV. It works on top of other
    schedulers, such as a warm-up.

    Args:
        optimizer (OptimWrapper or Optimizer): Given by the runner.
        gamma (float): How fast it goes down, from 0 on.
        power (float): Defaults to 1.
        **kwargs: ``begin``, ``end``, ``by_epoch``, ``last_step`` and
            ``verbose``, as everywhere in MMEngine.

    Raises:
        ValueError: If ``gamma`` is negative.

    Examples:
        >>> param_scheduler = dict(
        ...     type='mmamp.InverseLr', gamma=0.05, by_epoch=True)
    """

    def __init__(
        self, optimizer: Any, gamma: float, power: float = 1.0, **kwargs: Any
    ) -> None:
        if gamma < 0:
            raise ValueError(f'gamma must be >= 0, but got {gamma!r}')
        self.gamma, self.power = gamma, power
        super().__init__(optimizer, **kwargs)

    def _at(self, base: float, step: int) -> float:
        factor: float = (1 + self.gamma * step) ** -self.power
        return base * factor
