"""Torch's fused optimizers, where the device has them."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from mmamp.compat.torch import say_it_skips
from mmamp.distributed.sharding import is_sharded
from mmamp.precision.devices import device_of_type
from mmamp.utils.modules import params_of

FUSED = (torch.optim.Adam, torch.optim.AdamW)
"""Optimizers that lose nothing by it; SGD's kernels take no sparse
gradients."""


def fuse(optimizer: Optimizer) -> bool:
    """Have an optimizer step in fused kernels, unless its config says which.

    They take the overflow decision on the device, so that no step waits for
    it, and go through the memory once.

    Args:
        optimizer (Optimizer): Before its first step.

    Returns:
        bool: Whether it does so now and did not before.
    """
    if type(optimizer) not in FUSED or optimizer.state:
        return False
    groups = optimizer.param_groups
    settings = ('fused', 'foreach', 'capturable', 'differentiable')
    if any(group.get(key) for group in groups for key in settings):
        return False
    if any(
        group.get(key) is not None
        for group in groups
        for key in ('fused', 'foreach')
    ):
        return False  # False on purpose
    params = params_of(optimizer)
    devices = {p.device.type for p in params}
    if (
        len(devices) != 1
        or not all(device_of_type(x).can_fuse() for x in devices)
        or not all(p.is_floating_point() for p in params)
        or any(is_sharded(p) for p in params)
    ):
        return False
    for group in groups:
        group['fused'] = True
    optimizer.defaults['fused'] = True
    say_it_skips(optimizer)
    return True


def with_settings_of(
    optimizer: Optimizer, state_dict: dict[str, Any]
) -> dict[str, Any]:
    """Return a saved state that is stepped as this optimizer steps.

    Torch would take over how the run that saved it did, whatever this one's
    config says. Functions among the settings are those of this one, too.

    Args:
        optimizer (Optimizer): That is going to load it.
        state_dict (dict): An optimizer's; it is left as it is.
    """
    saved = state_dict.get('param_groups', [])
    own = optimizer.param_groups
    if len(saved) != len(own):
        return state_dict  # torch says what is wrong
    kept = [
        {
            key: value
            for key, value in group.items()
            if key in ('fused', 'foreach') or callable(value)
        }
        for group in own
    ]
    return dict(
        state_dict,
        param_groups=[
            {**group, **settings}
            for group, settings in zip(saved, kept, strict=True)
        ],
    )


def laid_out_as(value: Tensor, param: Tensor) -> Tensor:
    """Return a tensor with the strides of a parameter of its shape."""
    if (
        value.layout is not torch.strided
        or is_sharded(param)
        or value.stride() == param.stride()
    ):
        return value
    return torch.empty_like(param, dtype=value.dtype).copy_(value)


def lacks_momentum(optimizer: Optimizer) -> bool:
    """Tell whether momentum would be left unwritten by a step that is skipped.

    A fused SGD allots it in its first step and leaves it to the kernel to
    fill, which does nothing if the gradients are not finite.

    Args:
        optimizer (Optimizer): Its parameters have their gradients.
    """
    return any(
        group.get('momentum')
        and param.grad is not None
        and optimizer.state.get(param, {}).get('momentum_buffer') is None
        for group in optimizer.param_groups
        for param in group['params']
    )


def step_on_device(
    optimizer: Any, finite: Tensor, kwargs: dict[str, Any]
) -> None:
    """Let a fused optimizer decide inside of its kernel: nothing waits.

    Args:
        optimizer (Optimizer): Its kernels heed ``found_inf``.
        finite (Tensor): A scalar boolean on the device.
        kwargs (dict): Of its ``step``.
    """
    optimizer.grad_scale = None
    optimizer.found_inf = (~finite).float()
    optimizer.step(**kwargs)
    del optimizer.grad_scale, optimizer.found_inf
