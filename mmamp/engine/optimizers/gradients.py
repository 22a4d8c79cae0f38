"""Gradients: are they finite, how large are they, how are they clipped."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from mmamp.compat.torch import foreach_clamp_, foreach_mul_
from mmamp.distributed.sharding import are_plain, local, total_norm
from mmamp.precision.devices import device_of_type
from mmamp.utils.modules import params_of

EXACT_ON_DEVICE = (1.0, 2.0, float('inf'))
"""Norms whose sums of powers float64 holds for whatever float32 holds."""


def gradients_of(params: Sequence[nn.Parameter]) -> list[Tensor]:
    """Return the gradients that there are, as memory of dense real numbers.

    Args:
        params (Sequence[Parameter]): Those without a gradient are left out.

    Returns:
        list[Tensor]: Of a sparse one its values, of a complex one a view.
    """
    grads = []
    for param in params:
        if param.grad is None:
            continue
        if param.grad.is_sparse:
            # A row that was looked up twice has one gradient.
            param.grad = param.grad.coalesce()
            grads.append(param.grad.values())
        else:
            grads.append(param.grad)
    # What is differentiated again is the gradient as it was made.
    grads = [g.detach() if g.requires_grad else g for g in grads]
    return [torch.view_as_real(g) if g.is_complex() else g for g in grads]


def exact_norm(grads: list[Tensor], norm_type: float = 2.0) -> Tensor:
    """Return a norm that is finite if the gradients are.

    Args:
        grads (list[Tensor]): From :func:`gradients_of`.
        norm_type (float): Defaults to 2.

    Returns:
        Tensor: A scalar, float64 where the device has it; with a copy of each
        gradient in turn.
    """
    largest = total_norm(grads, float('inf'))
    scale = torch.where(largest > 0, largest, 1)
    if scale.device.type != 'mps':
        scale = scale.double()
    norm = total_norm(grads, norm_type, scale) * scale
    return norm.clamp(max=torch.finfo(norm.dtype).max)


def with_real_gradients(optimizer: Optimizer) -> Any:
    """Return an optimizer whose complex gradients are pairs of real numbers.

    Args:
        optimizer (Optimizer): Any.

    Returns:
        Optimizer: Itself, where there are none; else what stands for it to a
        ``GradScaler``, and shares the memory of its gradients.
    """
    params: list[Tensor] = [*params_of(optimizer)]
    if not any(p.is_complex() for p in params):
        return optimizer
    pairs = []
    for param in params:
        if param.is_complex() and param.grad is not None:
            pair = torch.view_as_real(param.detach())
            pair.grad = torch.view_as_real(param.grad)
            param = pair
        pairs.append(param)
    return SimpleNamespace(param_groups=[dict(params=pairs)])


def all_finite(grads: list[Tensor]) -> Tensor:
    """Tell on the device whether every element is finite, on all ranks."""
    return torch.isfinite(total_norm(grads, float('inf')))


def norm_on_device(
    grads: list[Tensor], norm_type: float
) -> tuple[Tensor, Tensor]:
    """Return the norm and whether all is finite, without waiting for them.

    Args:
        grads (list[Tensor]): From :func:`gradients_of`.
        norm_type (float): One of ``EXACT_ON_DEVICE``.

    Returns:
        tuple[Tensor, Tensor]: Scalars. Where the norm overflows in float32,
        and the device has no fast float64, a bound stands for it.
    """
    if device_of_type(grads[0].device.type).has_fast_float64:
        norm = total_norm(grads, norm_type, dtype=torch.float64)
        return norm, torch.isfinite(norm)
    largest = total_norm(grads, float('inf'))
    norm = total_norm(grads, norm_type)
    number = sum(g.numel() for g in grads)
    bound = (largest * number ** (1 / norm_type)).clamp(
        max=torch.finfo(largest.dtype).max
    )
    return torch.where(norm.isfinite(), norm, bound), largest.isfinite()


def clip_norm_(
    grads: list[Tensor],
    max_norm: float,
    norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale gradients down to a norm, as ``clip_grad_norm_`` does.

    Args:
        grads (list[Tensor]): From :func:`gradients_of`; changed in place.
        max_norm (float): The largest norm to have.
        norm (Tensor): What they have, finite or not.
        foreach (bool, optional): Whether all of a device at once. Defaults to
            None: yes.
    """
    factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
    of_device: dict[torch.device, list[Tensor]] = {}
    parts = grads if are_plain(grads) else [*map(local, grads)]
    for part in parts:
        of_device.setdefault(part.device, []).append(part)
    with torch.no_grad():
        for device, parts in of_device.items():
            scale = factor.to(device)
            if foreach is not False:
                foreach_mul_(parts, scale)
                continue
            for part in parts:
                part.mul_(scale)


def clip_value_(
    grads: list[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Clamp every element, as ``clip_grad_value_`` does.

    Args:
        grads (list[Tensor]): From :func:`gradients_of`; changed in place.
        clip_value (float): The largest magnitude.
        foreach (bool, optional): Whether all at once. Defaults to None: no.
    """
    parts = [local(grad) for grad in grads]
    with torch.no_grad():
        if foreach:
            foreach_clamp_(parts, clip_value)
            return
        for part in parts:
            part.clamp_(-clip_value, clip_value)


_CLIP = {
    'norm': ('max_norm', 'norm_type', 'error_if_nonfinite', 'foreach'),
    'value': ('clip_value', 'foreach'),
}
"""What each type of clipping takes; the first has to be given."""


def check_clip_grad(clip_grad: dict[str, Any] | None) -> None:
    """Refuse a ``clip_grad`` that cannot clip."""
    if clip_grad is None:
        return
    if not isinstance(clip_grad, dict):
        raise TypeError(
            f'clip_grad must be a dict or None, but got {clip_grad!r}'
        )
    kind = clip_grad.get('type', 'norm')
    if kind not in _CLIP:
        raise ValueError(
            f'clip_grad type must be one of {list(_CLIP)}, but got {kind!r}'
        )
    needed = _CLIP[kind][0]
    if needed not in clip_grad:
        raise ValueError(
            f'clip_grad of type {kind!r} needs {needed!r}, but got '
            f'{clip_grad!r}'
        )
    if unknown := clip_grad.keys() - {'type', *_CLIP[kind]}:
        raise ValueError(
            f'clip_grad of type {kind!r} takes {", ".join(_CLIP[kind])}, but '
            f'got {", ".join(sorted(unknown))}: {clip_grad!r}'
        )
    foreach = clip_grad.get('foreach')
    if foreach is not None and not isinstance(foreach, bool):
        raise TypeError(
            f'clip_grad: foreach must be a bool or None, but got {foreach!r}'
        )
    for key in (needed, 'norm_type'):
        value = clip_grad.get(key, 1.0)
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise TypeError(
                f'clip_grad: {key} must be a number, but got {value!r}'
            )
        try:
            is_valid = float(value) > 0
        except ValueError:
            is_valid = False
        # torch takes 'inf' for the largest element.
        if not is_valid or (isinstance(value, str) and key != 'norm_type'):
            raise ValueError(
                f'clip_grad: {key} must be a number > 0, but got {value!r}'
            )


def norm_type_of(clip_grad: dict[str, Any]) -> float:
    """Return which norm is clipped; 2 if none is.

    Args:
        clip_grad (dict): Arguments of ``clip_grad_norm_``; or empty.
    """
    return float(clip_grad.get('norm_type', 2.0))
