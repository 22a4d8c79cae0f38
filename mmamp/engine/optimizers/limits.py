"""What cannot work, refused before the first step."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from mmamp.utils.modules import params_of

from .kernels import needs_closure


class UnfitParameter(ValueError):
    """An optimizer was given a parameter that it cannot be trained with.

    Args:
        param (nn.Parameter): Which.
        what (str): What is wrong, and the way out; the parameter's name goes
            in front.
    """

    def __init__(self, param: nn.Parameter, what: str) -> None:
        self.param, self.what = param, what
        shape = tuple(getattr(param, 'shape', ()))
        super().__init__(f'a parameter of shape {shape} {what}')

    def named(self, names: Mapping[nn.Parameter, str]) -> str:
        """Return the message with the parameter's name."""
        name = names.get(self.param)
        return str(self) if name is None else f'{name!r} {self.what}'


def check_optimizer(optimizer: Optimizer, has_scale: bool) -> None:
    """Refuse an optimizer that cannot be stepped.

    Args:
        optimizer (Optimizer): With its parameters.
        has_scale (bool): Whether there is a loss scale.

    Raises:
        ValueError: If its step evaluates the loss itself; ``UnfitParameter``
            if there is a scale and a parameter is float16 itself.
    """
    if needs_closure(optimizer):
        raise ValueError(
            f'{type(optimizer).__name__} evaluates the loss itself: its step '
            'needs a closure, which MMEngine does not hand to it. Choose an '
            'optimizer whose step needs none, such as Adam'
        )
    if not has_scale:
        return
    for param in params_of(optimizer):
        if param.dtype is torch.float16:
            raise UnfitParameter(
                param,
                'is float16 itself, whose gradients a loss scale cannot be '
                'taken out of: keep it in float32 (no `.half()`), autocast '
                "runs it in float16; or choose dtype='bfloat16'",
            )


def check_model(model: nn.Module, counts: int) -> None:
    """Refuse a model's wrapper that windows do not work with.

    Args:
        model (nn.Module): In its wrapper, if it has one.
        counts (int): Micro-batches in a window.

    Raises:
        ValueError: If DDP takes the graph for static.
    """
    if counts > 1 and any(
        isinstance(m, DistributedDataParallel)
        # One that only holds others has none.
        and getattr(m, 'static_graph', False)
        for m in model.modules()
    ):
        raise ValueError(
            f'mmamp.AmpOptimWrapper: accumulative_counts={counts} does not '
            f'work with static_graph=True of {type(model).__name__}: torch '
            'loses gradients that are not synchronised in every iteration. '
            'Give find_unused_parameters=True in its place, or '
            'accumulative_counts=1'
        )
