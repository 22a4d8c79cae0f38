"""An accumulation window that a checkpoint finds half done."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .buffer_guard import BufferGuard
from .fused import laid_out_as


def window_state(
    params: Sequence[nn.Parameter],
    guard: BufferGuard,
    first: int,
    inner_count: int,
    accumulative_counts: int,
    scale: float,
) -> dict[str, Any]:
    """Return what the rest of the window needs.

    Args:
        params (Sequence[nn.Parameter]): The optimizer's, in its order.
        guard (BufferGuard): It holds the buffers from before the window.
        first (int): The window's first micro-batch.
        inner_count (int): Micro-batches of the run so far.
        accumulative_counts (int): Micro-batches in a full window.
        scale (float): The loss scale that the gradients were made with.

    Returns:
        dict: Numbers and tensors; the tensors are copies.
    """
    return dict(
        first=first,
        inner_count=inner_count,
        accumulative_counts=accumulative_counts,
        scale=scale,
        grads=[None if p.grad is None else p.grad.clone() for p in params],
        buffers=guard.state(),
    )


def restore_gradients(
    params: Sequence[nn.Parameter], state: dict[str, Any], scale: float
) -> None:
    """Put the window's gradients back.

    Args:
        params (Sequence[nn.Parameter]): The optimizer's, in its order.
        state (dict): From :func:`window_state`.
        scale (float): The loss scale that this run goes on with.

    Raises:
        ValueError: If the parameters are not those of the checkpoint.
    """
    grads: list[Tensor | None] = state['grads']
    if len(grads) != len(params):
        raise ValueError(
            f'the checkpoint holds gradients of {len(grads)} parameters, but '
            f'the optimizer has {len(params)}'
        )
    with torch.no_grad():
        for param, grad in zip(params, grads, strict=True):
            if grad is None:
                continue
            grad = grad.to(param.device, param.dtype, copy=True)
            param.grad = laid_out_as(grad, param)
            if scale != state['scale']:
                param.grad.mul_(scale / state['scale'])
