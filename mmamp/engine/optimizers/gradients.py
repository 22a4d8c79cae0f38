"""Small helpers on losses and gradients."""

import torch
from torch import Tensor, nn


def at_least_float32(loss: Tensor) -> Tensor:
    """A loss that a scale of 65536 cannot overflow."""
    return (
        loss.float() if loss.dtype in (torch.float16, torch.bfloat16) else loss
    )


def total_norm(params: list[nn.Parameter]) -> Tensor:
    """The 2-norm of all gradients, as one scalar on their device."""
    grads = [
        p.grad.coalesce().values() if p.grad.is_sparse else p.grad
        for p in params
        if p.grad is not None
    ]
    norms = torch._foreach_norm(grads)
    device = norms[0].device
    return torch.linalg.vector_norm(
        torch.stack([norm.to(device) for norm in norms])
    )


def check_clip_grad(clip_grad: dict | None) -> None:
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
