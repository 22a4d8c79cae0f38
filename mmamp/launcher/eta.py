"""How long a run takes still."""

import time
from typing import Any

from mmengine.hooks import Hook

WARM_UP = 10
"""Iterations, the first of which are slower than all others."""


class EtaHook(Hook):
    """Tells the log how long a run takes still, all things taken together.

    MMEngine's ``IterTimerHook`` leaves out validation, and counts the first
    iterations, in which workers start and kernels are chosen, as all others:
    of a short run it is wrong for long. This one looks at the clock, from
    the end of the first iterations on.
    """

    # Between MMEngine's timer, which is registered first, and its logger.
    priority = 'NORMAL'

    def __init__(self) -> None:
        self._stamps: list[float] = []
        self._begun = 0
        self._told: tuple[float, float] | None = None

    @property
    def seconds(self) -> float | None:
        """Seconds from now on; None until there are two iterations."""
        if self._told is None:
            return None
        at, seconds = self._told
        return max(0.0, seconds - (time.monotonic() - at))

    def before_train(self, runner: Any) -> None:
        """Begin to count."""
        self._stamps, self._begun = [], runner.iter
        self._told = None

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Tell it, from the second iteration on."""
        now = time.monotonic()
        done = runner.iter + 1 - self._begun
        if len(self._stamps) <= WARM_UP:
            self._stamps.append(now)
        first = min(WARM_UP, done // 2)
        if not 0 < first < done:
            return
        mean = (now - self._stamps[first - 1]) / (done - first)
        seconds = mean * (runner.max_iters - runner.iter - 1)
        self._told = now, seconds
        runner.message_hub.update_info('eta', seconds)
