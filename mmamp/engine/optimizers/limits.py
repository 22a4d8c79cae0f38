"""What cannot work, refused before the first step."""

from collections.abc import Mapping

import torch
from torch import nn
from torch.optim import Optimizer

from mmamp.distributed.no_sync import averaging
from mmamp.utils.modules import params_of

from .traits import traits_of


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
    """Refuse an optimizer that cannot be stepped at a loss scale.

    Args:
        optimizer (Optimizer): With its parameters.
        has_scale (bool): Whether there is a loss scale.

    Raises:
        ValueError: If there is one and the step differentiates gradients;
            ``UnfitParameter`` if a parameter is float16 itself.
    """
    if not has_scale:
        return
    if traits_of(optimizer).second_order:
        raise ValueError(
            f'{type(optimizer).__name__} differentiates gradients, whose '
            'second derivatives float16 does not hold at a loss scale: '
            "choose dtype='bfloat16' or 'float32'"
        )
    for param in params_of(optimizer):
        if param.dtype is torch.float16:
            raise UnfitParameter(
                param,
                'is float16 itself, whose gradients a loss scale cannot be '
                'taken out of: keep it in float32 (no `.half()`), autocast '
                "runs it in float16; or choose dtype='bfloat16'",
            )


def check_model(
    model: nn.Module, counts: int, second_order: bool = False
) -> None:
    """Refuse a model's wrapper that windows do not work with.

    Args:
        model (nn.Module): In its wrapper, if it has one.
        counts (int): Micro-batches in a window.
        second_order (bool): Whether gradients are differentiated. Defaults to
            False.

    Raises:
        ValueError: If DDP takes the graph for static, or would have to
            average what is differentiated.
    """
    if second_order and averaging(model):
        raise ValueError(
            'the optimizer differentiates gradients, which is not the '
            f'gradient of what {type(model).__name__} has averaged over the '
            'ranks: train on one device, or choose another optimizer'
        )
    # A wrapper that only holds others has no such setting.
    if counts > 1 and any(
        getattr(m, 'static_graph', False) for m in averaging(model)
    ):
        raise ValueError(
            f'mmamp.AmpOptimWrapper: accumulative_counts={counts} does not '
            f'work with static_graph=True of {type(model).__name__}: torch '
            'loses gradients that are not synchronised in every iteration. '
            'Give find_unused_parameters=True in its place, or '
            'accumulative_counts=1'
        )
