"""An average of the weights that waits where they do not move."""

from typing import Any

from mmengine.hooks import EMAHook as MMEngineEMAHook

from mmamp.checkpoint.primitives import without_wrapper
from mmamp.compat.mmengine import accumulative_counts
from mmamp.registry import HOOKS
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
    _updates: dict[str, int]

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
        self._windows, self._updates = _windows(runner), _updates(runner)

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        """Advance if there was an update that was not skipped."""
        windows, self._windows = self._windows, _windows(runner)
        if self._windows == windows:
            return  # nothing to ask the device for
        updates, self._updates = self._updates, _updates(runner)
        if self._updates != updates:
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


def _updates(runner: Any) -> dict[str, int]:
    """Return how many were not skipped; waits for the device."""
    windows = _windows(runner)
    for name, wrapper in recording_wrappers(runner):
        windows[name] -= wrapper.record.skipped
    return windows
