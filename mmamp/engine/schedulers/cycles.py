"""Cycles of the learning rate and the momentum, as MMCV has them."""

from typing import Any

from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.momentum_scheduler import MomentumSchedulerMixin

from mmamp.registry import PARAM_SCHEDULERS
from mmamp.utils.checks import check_choice, check_int

from .on_top import FOREVER, OnTop, cosine, straight

STRATEGIES = {'cos': cosine, 'linear': straight}


class _Cyclic(OnTop):
    def __init__(
        self,
        optimizer: Any,
        param_name: str,
        target_ratio: tuple[float, float],
        cyclic_times: int = 1,
        step_ratio_up: float = 0.4,
        gamma: float = 1.0,
        anneal_strategy: str = 'cos',
        begin: int = 0,
        end: int = FOREVER,
        **kwargs: Any,
    ) -> None:
        if len(target_ratio) != 2:
            raise ValueError(
                'target_ratio must be the ratios at the top and at the end of '
                f'a cycle, but got {target_ratio!r}'
            )
        if target_ratio[0] <= 0:
            raise ValueError(
                'target_ratio must be > 0 at the top, as nothing rises again '
                f'that is multiplied by 0, but got {target_ratio!r}'
            )
        if not 0 <= step_ratio_up < 1:
            raise ValueError(
                f'step_ratio_up must be in [0, 1), but got {step_ratio_up!r}'
            )
        check_int('cyclic_times', cyclic_times)
        check_choice('anneal_strategy', anneal_strategy, STRATEGIES)
        self.ratios, self.gamma = tuple(target_ratio), gamma
        self.anneal_strategy = anneal_strategy
        self.length = max((end - begin) // cyclic_times, 1)
        self.top = int(step_ratio_up * self.length)
        super().__init__(optimizer, param_name, begin=begin, end=end, **kwargs)

    def _at(self, base: float, step: int) -> float:
        cycle, step = divmod(step, self.length)
        high, low = self.ratios
        # Later cycles may be lower.
        high = base * (1 + (high - 1) * self.gamma**cycle)
        anneal = STRATEGIES[self.anneal_strategy]
        if step < self.top:
            return anneal(base, high, step / self.top)
        part = (step - self.top) / (self.length - self.top)
        return anneal(high, base * low, part)


@PARAM_SCHEDULERS.register_module()
class CyclicLr(LRSchedulerMixin, _Cyclic):
    """A learning rate that goes up and down, as often as is said.

    In a cycle it goes from what the optimizer has to the first ratio of
    that, and then to the second. This is what ``policy='cyclic'`` was in
    MMCV. It works on top of other schedulers, such as a warm-up.

    Args:
        optimizer (OptimWrapper or Optimizer): Given by the runner.
        target_ratio (tuple[float, float]): At the top of a cycle and at its
            end. Defaults to (10, 1e-4).
        cyclic_times (int): Cycles from ``begin`` to ``end``. Defaults to 1.
        step_ratio_up (float): The share of a cycle that goes up. Defaults to
            0.4.
        gamma (float): Of what a top is above the beginning, the share that
            the next one has. Defaults to 1.
        anneal_strategy (str): ``'cos'`` or ``'linear'``. Defaults to
            ``'cos'``.
        begin (int): When it starts. Defaults to 0.
        end (int): When the last cycle is over. Defaults to 1e9; the runner
            gives the length of the run if it is not set.
        **kwargs: ``by_epoch``, ``last_step`` and ``verbose``, as everywhere
            in MMEngine.

    Raises:
        ValueError: If an argument is not valid.

    Examples:
        >>> param_scheduler = dict(
        ...     type='mmamp.CyclicLr', target_ratio=(10, 1e-4),
        ...     cyclic_times=4, by_epoch=True, convert_to_iter_based=True)
    """

    def __init__(
        self,
        optimizer: Any,
        target_ratio: tuple[float, float] = (10, 1e-4),
        cyclic_times: int = 1,
        step_ratio_up: float = 0.4,
        gamma: float = 1.0,
        anneal_strategy: str = 'cos',
        begin: int = 0,
        end: int = FOREVER,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            optimizer,
            target_ratio=target_ratio,
            cyclic_times=cyclic_times,
            step_ratio_up=step_ratio_up,
            gamma=gamma,
            anneal_strategy=anneal_strategy,
            begin=begin,
            end=end,
            **kwargs,
        )


@PARAM_SCHEDULERS.register_module()
class CyclicMomentum(MomentumSchedulerMixin, _Cyclic):
    """A momentum that goes up and down, as ``CyclicLr`` does.

    This is what ``momentum_config`` with ``policy='cyclic'`` was in MMCV.

    Args:
        optimizer (OptimWrapper or Optimizer): Given by the runner.
        target_ratio (tuple[float, float]): Defaults to (0.85 / 0.95, 1).
        **kwargs: As of ``CyclicLr``.

    Raises:
        ValueError: If an argument is not valid.

    Examples:
        >>> param_scheduler = dict(
        ...     type='mmamp.CyclicMomentum', cyclic_times=4, by_epoch=True,
        ...     convert_to_iter_based=True)
    """

    def __init__(
        self,
        optimizer: Any,
        target_ratio: tuple[float, float] = (0.85 / 0.95, 1),
        **kwargs: Any,
    ) -> None:
        super().__init__(optimizer, target_ratio=target_ratio, **kwargs)
