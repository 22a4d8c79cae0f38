"""A cosine that begins where its warm-up ends."""

from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin

from mmamp.registry import PARAM_SCHEDULERS
from mmamp.utils.checks import check_int

from .on_top import FOREVER, ByFormula, cosine


@PARAM_SCHEDULERS.register_module()
class StepFixCosineLr(LRSchedulerMixin, ByFormula):
    """A cosine that begins where its warm-up ends.

    The learning rate of step ``i`` is::

        eta_min + (lr - eta_min)
            * (1 + cos(pi * (i - warmup) / (end - warmup))) / 2

    and before the step ``warmup`` this, times ``i / warmup``: it begins at
    zero. This is what ``policy='StepFixCosineAnnealing'`` was in MMSelfSup
    with ``warmup='linear'``, whatever its ``warmup_ratio`` was. It needs no
    other scheduler beside it, and heeds none.

    Args:
        optimizer (OptimWrapper or Optimizer): Given by the runner.
        warmup (int): How long the warm-up is.
        eta_min (float): The learning rate at ``end``. Defaults to 0.
        eta_min_ratio (float, optional): The same as a share of the learning
            rate. Defaults to None: ``eta_min`` counts.
        begin (int): The step that is 0 in the formula. Defaults to 0.
        end (int): When the learning rate would be ``eta_min``. Defaults to
            1e9; the runner gives the length of the run if it is not set.
        **kwargs: ``by_epoch``, ``last_step`` and ``verbose``, as everywhere
            in MMEngine.

    Raises:
        ValueError: If ``warmup`` is not from 1 to ``end - begin - 1``.

    Examples:
        >>> param_scheduler = dict(
        ...     type='mmamp.StepFixCosineLr', warmup=40, by_epoch=True,
        ...     convert_to_iter_based=True)
    """

    def __init__(
        self,
        optimizer: Any,
        warmup: int,
        eta_min: float = 0.0,
        eta_min_ratio: float | None = None,
        begin: int = 0,
        end: int = FOREVER,
        **kwargs: Any,
    ) -> None:
        self.warmup = check_int('warmup', warmup, high=end - begin - 1)
        self.eta_min, self.eta_min_ratio = eta_min, eta_min_ratio
        super().__init__(optimizer, begin=begin, end=end, **kwargs)

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, epoch_length: int, **kwargs: Any
    ) -> Any:
        """Build one of iterations whose warm-up and end are in epochs.

        Args:
            *args: As of the class.
            epoch_length (int): Iterations of an epoch; the runner gives it.
            **kwargs: As of the class.

        Returns:
            ParamScheduler: Of the class.
        """
        kwargs['warmup'] *= epoch_length
        return super().build_iter_from_epoch(
            *args, epoch_length=epoch_length, **kwargs
        )

    def _get_value(self) -> list[float]:
        """Return the values of this step, whatever there is."""
        return [self._at(base, self.last_step) for base in self.base_values]

    def _at(self, base: float, step: int) -> float:
        ratio = self.eta_min_ratio
        last = self.eta_min if ratio is None else base * ratio
        length = self.end - self.begin
        part = (step - self.warmup) / (length - self.warmup)
        return cosine(base, last, part) * min(step / self.warmup, 1)
