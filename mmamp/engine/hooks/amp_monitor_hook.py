"""Loss scale, skipped steps and gradient norm in the log."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import HistoryBuffer, print_log
from mmengine.optim import OptimWrapperDict

from mmamp.logging.scalars import SCALARS, SKIP_RATE, SKIPPED_STEPS
from mmamp.registry import HOOKS
from mmamp.utils.modules import unwrap
from mmamp.utils.protocols import CountsMicroBatches, Meets

from .runner_access import logging_interval, named_wrappers, recording_wrappers


@HOOKS.register_module()
class AmpMonitorHook(Hook):
    """Report what mixed precision does, for each optimizer.

    Writes ``train/loss_scale``, ``train/skipped_steps``, ``train/skip_rate``
    (the share of updates since the last report) and ``train/grad_norm`` (the
    last finite one) to the message hub, so to the log and every visualization
    backend; with several optimizers ``train/<name>.loss_scale`` and so on.
    Each is what it is when the log is written, not an average, and only read
    then: no training step waits for it. When training begins it logs what
    precision each optimizer came to, and tells each of several which model it
    trains, and where in the run it is, as MMEngine's loops tell an only one.

    Args:
        interval (int, optional): Iterations between two reports. Defaults to
            None: the logger hook's.

    Raises:
        ValueError: If ``interval`` is not a positive int.

    Examples:
        >>> custom_hooks = [dict(type='mmamp.AmpMonitorHook')]
    """

    # Before the logger hook (BELOW_NORMAL) reads the message hub.
    priority = 'NORMAL'

    def __init__(self, interval: int | None = None) -> None:
        if interval is not None and (
            not isinstance(interval, int) or interval < 1
        ):
            raise ValueError(
                f'interval must be None or an int >= 1, but got {interval!r}'
            )
        self.interval = interval
        # Updates, and skipped ones, at the last report.
        self._before: dict[str, tuple[int, int]] = {}

    def before_train(self, runner: Any) -> None:
        """Say what the precision is, and begin to count."""
        self._forget(runner)
        for key, wrapper in recording_wrappers(runner):
            print_log(
                f'{key or "optim_wrapper"}: {wrapper.precision}',
                logger='current',
            )
            record = wrapper.record
            self._before[key] = record.windows, record.skipped
        self._begin(runner)
        if self.interval is None:
            self.interval = logging_interval(runner)

    def _begin(self, runner: Any) -> None:
        """Tell the wrappers what MMEngine's loops tell an only one alone."""
        model = unwrap(runner.model)
        counts_itself = (
            isinstance(model, CountsMicroBatches)
            and model.counts_micro_batches
        )
        if not isinstance(runner.optim_wrapper, OptimWrapperDict):
            return
        for _, wrapper in named_wrappers(runner):
            if not isinstance(wrapper, Meets):
                continue
            if counts_itself:
                wrapper.meet(runner.model)
            else:
                wrapper.initialize_count_status(
                    runner.model, runner.iter, runner.max_iters
                )

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Write the scalars at the interval."""
        interval = self.interval or 10
        if not (
            self.every_n_inner_iters(batch_idx, interval)
            or self.is_last_train_iter(runner)
        ):
            return
        for key, wrapper in recording_wrappers(runner):
            scalars = wrapper.amp_scalars()
            now = wrapper.record.windows, int(scalars[SKIPPED_STEPS])
            windows, skipped = self._before.get(key, (0, 0))
            if now[0] > windows:
                rate = (now[1] - skipped) / (now[0] - windows)
                scalars[SKIP_RATE] = rate
            self._before[key] = now
            prefix = f'{key}.' if key else ''
            for name, value in scalars.items():
                # MMEngine would average what has `loss` in its name.
                log_scalars = runner.message_hub.log_scalars
                log_scalars[f'train/{prefix}{name}'] = HistoryBuffer(
                    [value], [1]
                )

    def _forget(self, runner: Any) -> None:
        """Drop figures that a checkpoint of another precision may bring."""
        scalars = runner.message_hub.log_scalars
        for key in list(scalars):
            if key.rpartition('/')[2].rpartition('.')[2] in SCALARS:
                del scalars[key]
