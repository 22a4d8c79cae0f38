"""Small helpers on losses and gradients."""

from typing import Any

import torch
from torch import Tensor, nn

from mmamp.compat.torch import foreach_mul_
from mmamp.distributed import sharding


def total_norm(params: list[nn.Parameter]) -> Tensor:
    """Return the 2-norm of all gradients, as one scalar on their device."""
    return sharding.total_norm(
        [
            p.grad.coalesce().values() if p.grad.is_sparse else p.grad
            for p in params
            if p.grad is not None
        ]
    )


def clip_sharded_norm_(
    params: list[nn.Parameter],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """``torch.nn.utils.clip_grad_norm_`` for gradients that FSDP2 shards.

    With one collective, and the norm as a plain tensor.

    Args:
        params (list[nn.Parameter]): With gradients.
        max_norm (float): As there.
        norm_type (float): As there. Defaults to 2.
        error_if_nonfinite (bool): As there. Defaults to False.
        foreach (bool, optional): Has no effect here. Defaults to None.

    Returns:
        Tensor: The norm before clipping, a scalar.
    """
    grads = [p.grad for p in params if p.grad is not None]
    norm = sharding.total_norm(grads, float(norm_type))
    if error_if_nonfinite and not torch.isfinite(norm):
        raise RuntimeError(f'the norm of the gradients is {float(norm)}')
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    foreach_mul_([sharding.local(g) for g in grads], factor)
    return norm


def check_clip_grad(clip_grad: dict[str, Any] | None) -> None:
    """Refuse a ``clip_grad`` that cannot clip."""
    if clip_grad is None:
        return
    if not isinstance(clip_grad, dict):
        raise TypeError(
            f'clip_grad must be a dict or None, but got {clip_grad!r}'
        )
    needed = dict(norm='max_norm', value='clip_value')
    kind = clip_grad.get('type', 'norm')
    if kind not in needed:
        raise ValueError(
            f'clip_grad type must be one of {list(needed)}, but got {kind!r}'
        )
    if needed[kind] not in clip_grad:
        raise ValueError(
            f'clip_grad of type {kind!r} needs '
            f'{needed[kind]!r}, but got {clip_grad!r}'
        )
