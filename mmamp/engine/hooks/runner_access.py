"""What several hooks ask of a runner."""

import os
from typing import Any

from mmengine.optim import OptimWrapperDict


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
    logger = runner.cfg.get('default_hooks', {}).get('logger') or {}
    return logger.get('interval', 10)


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
