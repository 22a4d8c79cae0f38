"""Averages of weights, where only the device knows of a skipped update."""

import torch
from mmengine.model import BaseAveragedModel, ExponentialMovingAverage
from torch import Tensor, nn


def advance(
    average: BaseAveragedModel,
    model: nn.Module,
    skipped: bool | Tensor,
    copies: bool = False,
) -> None:
    """Advance an average by an update, unless it was skipped.

    Waits for no device where MMEngine's ``ExponentialMovingAverage`` does,
    and comes to the same.

    Args:
        average (BaseAveragedModel): Of the model.
        model (nn.Module): What is averaged, outside of model wrappers.
        skipped (bool or Tensor): Whether it was; a scalar boolean tensor if
            only the device knows.
        copies (bool): Whether the average is a copy still. Defaults to False.
    """
    if isinstance(skipped, Tensor) and _is_plain(average):
        with torch.no_grad():
            _advance_on_device(average, model, ~skipped, copies)
    elif not skipped:
        if copies:
            # What has had no step yet is copied.
            average.steps.zero_()
        average.update_parameters(model)


def _is_plain(average: BaseAveragedModel) -> bool:
    """Tell whether it does what the code below does."""
    cls = type(average)
    return (
        cls.update_parameters is BaseAveragedModel.update_parameters
        and cls.avg_func is ExponentialMovingAverage.avg_func
    )


def _advance_on_device(
    average: ExponentialMovingAverage,
    model: nn.Module,
    advances: Tensor,
    copies: bool,
) -> None:
    """Do what ``update_parameters`` does, every decision on the device."""
    steps = average.steps
    advances = advances.to(steps.device)
    done = torch.zeros_like(steps) if copies else steps
    is_first = done == 0
    moves = advances & (done % average.interval == 0)
    sources = (
        model.state_dict()
        if average.update_buffers
        else dict(model.named_parameters())
    )
    for name, mine in average.avg_parameters.items():
        now = mine.data
        source = sources[name].data.to(now.device, now.dtype)
        new = source
        if now.dtype.is_floating_point:
            new = now.lerp(source, average.momentum)
            new = torch.where(is_first.to(now.device), source, new)
            chosen = moves
        else:
            chosen = moves & is_first
        _choose(chosen, new, now)
    if not average.update_buffers:
        for mine, source in zip(
            average.module.buffers(), model.buffers(), strict=True
        ):
            now = mine.data
            _choose(advances, source.data.to(now.device, now.dtype), now)
    steps.copy_(torch.where(advances, done + 1, steps))


def _choose(flag: Tensor, new: Tensor, now: Tensor) -> None:
    torch.where(flag.to(now.device), new, now, out=now)
