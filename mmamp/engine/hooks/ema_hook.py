"""An average of the weights that waits where they do not move."""

from typing import Any

from mmengine.hooks import EMAHook as MMEngineEMAHook

from mmamp.checkpoint.primitives import without_wrapper
from mmamp.registry import HOOKS
from mmamp.utils.protocols import was_skipped

from .runner_access import named_wrappers


@HOOKS.register_module()
class EMAHook(MMEngineEMAHook):
    """MMEngine's ``EMAHook``, which does not advance for a skipped update.

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

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        """Advance, unless this iteration's update was skipped."""
        skipped = any(
            wrapper.should_update() and was_skipped(wrapper)
            for _, wrapper in named_wrappers(runner)
        )
        if not skipped:
            super().after_train_iter(runner, *args, **kwargs)
