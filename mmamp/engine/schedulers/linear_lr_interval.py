"""A learning rate that goes down a flight of stairs."""

from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin

from mmamp.registry import PARAM_SCHEDULERS
from mmamp.utils.checks import check_int

from .on_top import OnTop, straight


@PARAM_SCHEDULERS.register_module()
class LinearLrInterval(LRSchedulerMixin, OnTop):
    """MMEngine's ``LinearLR``, in steps of an interval.

    The learning rate is multiplied by::

        start_factor + (end_factor - start_factor)
            * ((i - begin) // interval) / ((end - begin) // interval)

    This is what ``policy='Linear'`` was in MMGeneration and MMEditing. It
    works on top of other schedulers, such as a warm-up.

    Args:
        optimizer (OptimWrapper or Optimizer): Given by the runner.
        interval (int): Iterations, or epochs, in which the learning rate does
            not change. Defaults to 1.
        start_factor (float): At ``begin``. Defaults to 1.
        end_factor (float): That would be reached at ``end``. Defaults to 0.
        begin (int): When it starts. Defaults to 0.
        end (int): When the end would be reached. Defaults to 1e9; the runner
            gives the length of the run if it is not set.
        by_epoch (bool): Whether it counts epochs, not iterations. Defaults to
            True, as everywhere in MMEngine.
        **kwargs: ``last_step`` and ``verbose``, as everywhere in MMEngine.

    Raises:
        ValueError: If there is no whole interval between begin and end, or
            ``start_factor`` is not positive.

    Examples:
        >>> param_scheduler = dict(
        ...     type='mmamp.LinearLrInterval', interval=400,
        ...     begin=40000, end=80000, by_epoch=False)
    """

    def __init__(
        self,
        optimizer: Any,
        interval: int = 1,
        start_factor: float = 1.0,
        end_factor: float = 0.0,
        begin: int = 0,
        end: int = int(1e9),
        by_epoch: bool = True,
        **kwargs: Any,
    ) -> None:
        self.interval = check_int('interval', interval)
        if not start_factor > 0:
            raise ValueError(
                f'start_factor must be > 0, but got {start_factor!r}'
            )
        self.start_factor = start_factor
        self.end_factor = end_factor
        if end - begin < interval:
            raise ValueError(
                f'begin={begin} and end={end} are less than an interval of '
                f'{interval} apart: raise end or lower interval'
            )
        super().__init__(
            optimizer, begin=begin, end=end, by_epoch=by_epoch, **kwargs
        )

    def _at(self, base: float, step: int) -> float:
        stairs = (self.end - self.begin) // self.interval
        part: float = step // self.interval / stairs
        factor = straight(self.start_factor, self.end_factor, part)
        return base * factor
