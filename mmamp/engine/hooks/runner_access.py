"""What several hooks ask of a runner."""

from typing import Any

from mmengine.hooks import LoggerHook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import FlexibleRunner

from mmamp.randomness.state import rng_state
from mmamp.utils.protocols import KeepsRng, Recording


def named_wrappers(runner: Any) -> list[tuple[str, Any]]:
    """Return the optimizer wrappers of a runner.

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


def recording_wrappers(runner: Any) -> list[tuple[str, Any]]:
    """Return the wrappers that count their windows, as mmamp's does.

    Args:
        runner (Runner): The runner, its optimizers built.

    Returns:
        list[tuple[str, OptimWrapper]]: As :func:`named_wrappers`.
    """
    return [x for x in named_wrappers(runner) if isinstance(x[1], Recording)]


def strategy_of(runner: Any) -> Any:
    """Return the strategy of a ``FlexibleRunner``; None of another runner.

    Args:
        runner (Runner or FlexibleRunner): The runner.
    """
    return runner.strategy if isinstance(runner, FlexibleRunner) else None


def logging_interval(runner: Any) -> int:
    """Return iterations from one line of the log to the next."""
    for hook in runner.hooks:
        if isinstance(hook, LoggerHook):
            interval: int = hook.interval
            return interval
    return 10


def training_rng_state(runner: Any) -> dict[str, Any]:
    """Return the random-number states that training goes on with.

    While validation runs, or a hook of other people's, these are not those of
    the moment.
    """
    for hook in runner.hooks:
        if isinstance(hook, KeepsRng):
            if hook.rng_outside is not None:
                return hook.rng_outside()
            if hook.rng_before_val is not None:
                return hook.rng_before_val
    return rng_state()
