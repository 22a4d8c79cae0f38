"""What several hooks ask of a runner."""

import os
from typing import Any

from mmengine.hooks import LoggerHook
from mmengine.optim import OptimWrapperDict

from mmamp.randomness.state import rng_state


def named_wrappers(runner: Any) -> list[tuple[str, Any]]:
    """The optimizer wrappers of a runner.

    Args:
        runner (Runner): The runner, its optimizers built.

    Returns:
        list[tuple[str, OptimWrapper]]: By name; the name of an only one is
        empty.
    """
    wrapper = runner.optim_wrapper
    if isinstance(wrapper, OptimWrapperDict):
        return list(wrapper.items())
    return [('', wrapper)]


def logging_interval(runner: Any) -> int:
    """Iterations from one line of the log to the next."""
    for hook in runner.hooks:
        if isinstance(hook, LoggerHook):
            interval: int = hook.interval
            return interval
    return 10


def training_rng_state(runner: Any) -> dict[str, Any]:
    """The random-number states that training goes on with.

    While validation runs these are not those of the moment.
    """
    for hook in runner.hooks:
        state: dict[str, Any] | None = getattr(hook, 'rng_before_val', None)
        if state is not None:
            return state
    return rng_state()


def save_plainly(runner: Any, name: str) -> str:
    """Save a checkpoint after this iteration, without a hook's bookkeeping.

    Args:
        runner (Runner): The runner, in ``after_train_iter``.
        name (str): Of the file in the work dir.

    Returns:
        str: Its path.
    """
    runner.save_checkpoint(
        runner.work_dir,
        name,
        meta=dict(epoch=runner.epoch, iter=runner.iter + 1),
        by_epoch=False,
    )
    return os.path.join(runner.work_dir, name)
