"""An average of the weights that waits where they do not move."""

from typing import Any

from mmengine.hooks import EMAHook as MMEngineEMAHook
from torch import Tensor

from mmamp.checkpoint.primitives import without_wrapper
from mmamp.compat.mmengine import accumulative_counts
from mmamp.registry import HOOKS
from mmamp.utils.averages import advance
from mmamp.utils.protocols import Recording

from .runner_access import named_wrappers, recording_wrappers


@HOOKS.register_module()
class EMAHook(MMEngineEMAHook):
    """MMEngine's ``EMAHook``, which counts updates of the parameters.

    It advances where an accumulation window has ended and was not skipped; an
    iteration that makes several updates is one.

    It also works under a ``FlexibleRunner``, except with ``FSDP2Strategy``:
    a model that is sharded cannot be copied. For models with one optimizer; a
    ``BaseGAN`` keeps its own average (``ema_config``).

    Args:
        *args: Arguments of MMEngine's hook.
        **kwargs: Arguments of MMEngine's hook.

    Examples:
        >>> custom_hooks = [
        ...     dict(type='mmamp.EMAHook', momentum=0.0002, priority=49)]
    """

    _is_made = False
    _windows: dict[str, int]
    _skips: dict[str, int | Tensor]

    def before_run(self, runner: Any) -> None:
        """Make the average, once."""
        if not self._is_made:
            self._is_made = True
            super().before_run(runner)

    def after_load_checkpoint(
        self, runner: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Take over a checkpoint's, which may come before the run begins."""
        self.before_run(runner)
        super().after_load_checkpoint(runner, checkpoint)

    def before_save_checkpoint(
        self, runner: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Save the average as the model; see MMEngine's hook."""
        checkpoint['state_dict'] = without_wrapper(checkpoint['state_dict'])
        super().before_save_checkpoint(runner, checkpoint)

    def before_train(self, runner: Any) -> None:
        """Begin to count updates."""
        super().before_train(runner)
        self._windows, self._skips = _windows(runner), _skips(runner)

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        """Advance if there was an update that was not skipped."""
        windows, self._windows = self._windows, _windows(runner)
        if self._windows == windows:
            return
        skips, self._skips = self._skips, _skips(runner)
        skipped = _all_skipped(windows, self._windows, skips, self._skips)
        if isinstance(skipped, Tensor) and self._ema_started(runner):
            advance(self.ema_model, self.src_model, skipped)
        elif isinstance(skipped, Tensor) or not skipped:
            # Before it begins it is a copy, of what a skip has left too.
            super().after_train_iter(runner, *args, **kwargs)


def _windows(runner: Any) -> dict[str, int]:
    """Return how many windows each wrapper has ended."""
    return {
        name: wrapper.record.windows
        if isinstance(wrapper, Recording)
        else _ended(wrapper)
        for name, wrapper in named_wrappers(runner)
    }


def _ended(wrapper: Any) -> int:
    windows, left = divmod(wrapper.inner_count, accumulative_counts(wrapper))
    # The last one may be shorter.
    return int(windows + (left > 0 and wrapper.should_update()))


def _skips(runner: Any) -> dict[str, int | Tensor]:
    """Return how many of them were skipped, where anybody knows."""
    return {
        name: wrapper.record.skips
        for name, wrapper in recording_wrappers(runner)
    }


def _all_skipped(
    windows: dict[str, int],
    windows_now: dict[str, int],
    skips: dict[str, int | Tensor],
    skips_now: dict[str, int | Tensor],
) -> bool | Tensor:
    """Tell whether no window since then has led to an update.

    Returns:
        bool or Tensor: A scalar boolean tensor if only the device knows.
    """
    updates: int | Tensor = 0
    for name, number in windows_now.items():
        updates = updates + number - windows[name]
        updates = updates - skips_now.get(name, 0) + skips.get(name, 0)
    return updates == 0
