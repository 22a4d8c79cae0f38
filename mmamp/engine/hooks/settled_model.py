"""What a model is to those who meet it in the midst of training.

An accumulation window's forward passes have changed its buffers (BatchNorm's
statistics), and no step has judged yet whether they were finite; an optimizer
may train on other weights than it has for evaluation.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from mmengine.model import BaseAveragedModel
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmamp.distributed.statistics import unify_buffers
from mmamp.utils.modules import unwrap
from mmamp.utils.protocols import (
    HasEvaluationWeights,
    HasOwnStatistics,
    Judging,
)

from .runner_access import named_wrappers


@contextmanager
def settled_model(runner: Any) -> Iterator[None]:
    """Have the model be what is evaluated.

    Args:
        runner (Runner): The runner.
    """
    with evaluation_weights(runner), judged_buffers(runner):
        yield


@contextmanager
def evaluation_weights(runner: Any) -> Iterator[None]:
    """Have the model show what its optimizers have for evaluation.

    Args:
        runner (Runner): The runner.
    """
    with ExitStack() as stack:
        for wrapper in _wrappers(runner):
            if isinstance(wrapper, HasEvaluationWeights):
                stack.enter_context(wrapper.evaluation_weights())
        yield


@contextmanager
def judged_buffers(runner: Any) -> Iterator[None]:
    """Have the model's buffers be what the last steps left.

    Args:
        runner (Runner): The runner.
    """
    first, *others = [*_judging(runner), None]
    if first is None:
        yield
        return
    with first.judged_buffers([x for x in others if x is not None]):
        yield


def unify_models(runner: Any, averages_only: bool = False) -> None:
    """Have all ranks' models, and averages of hooks, have the same buffers.

    Averages have statistics of their own then.

    Args:
        runner (Runner): The runner, on all ranks.
        averages_only (bool): Whether only averages are touched: inside of a
            window each rank's own buffers are in its optimizer's state.
            Defaults to False.
    """
    trained = unwrap(runner.model)
    if isinstance(trained, HasOwnStatistics):
        trained.estimate_statistics()
    models = [getattr(hook, 'ema_model', None) for hook in runner.hooks]
    if averages_only:
        models += [
            module
            for module in runner.model.modules()
            if isinstance(module, BaseAveragedModel)
        ]
    else:
        models.append(runner.model)
    for model in models:
        if isinstance(model, nn.Module):
            unify_buffers(model)


def is_in_window(runner: Any) -> bool:
    """Tell whether the model's buffers have not been judged yet.

    Args:
        runner (Runner): The runner.
    """
    return any(wrapper.is_in_window for wrapper in _judging(runner))


def judge_checkpoint(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Have a checkpoint's model be what the last steps left.

    A run that is resumed from it gets the rest of the window from its
    optimizer.

    Args:
        runner (Runner): The runner.
        checkpoint (dict): Its ``state_dict`` is changed; MMEngine's EMAHook
            has put the model into ``ema_state_dict``.
    """
    if not is_in_window(runner):
        return
    model = unwrap(runner.model)
    now = {name: b.detach().clone() for name, b in model.named_buffers()}
    with judged_buffers(runner):
        judged = {n: b.detach().clone() for n, b in model.named_buffers()}
    for key, prefix in (('state_dict', ''), ('ema_state_dict', 'module.')):
        state = checkpoint.get(key, {})
        for name, buffer in now.items():
            saved = state.get(prefix + name)
            # An average has values of its own.
            if saved is not None and _is_same(saved, buffer.to(saved)):
                state[prefix + name] = judged[name].to(saved)


def _judging(runner: Any) -> list[Judging]:
    return [x for x in _wrappers(runner) if isinstance(x, Judging)]


def _wrappers(runner: Any) -> list[Any]:
    # There is no optimizer in a run that only validates; one that was not
    # built yet is a dict.
    wrapper = getattr(runner, 'optim_wrapper', None)
    if not isinstance(wrapper, OptimWrapper):
        return []
    return [x for _, x in named_wrappers(runner)]


def _is_same(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors are equal; nan is nan."""
    if one.shape != other.shape:
        return False
    same = one == other
    return bool((same | ((one != one) & (other != other))).all())
