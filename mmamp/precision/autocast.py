"""The autocast context, made safe and, on older CPUs, fast."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .devices import device_of_type
from .dtypes import casts, is_narrow
from .rounded_operands import needs_rounding, round_operands


def autocast_off(device_type: str) -> Any:
    """Return a context in which nothing is cast; free if nothing is."""
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


@contextmanager
def autocast(device_type: str, dtype: torch.dtype) -> Iterator[None]:
    """``torch.autocast``, made safe and, on older CPUs, fast.

    Two differences from the bare context: the weight cache is off on those
    torch releases where a forward pass under ``no_grad`` would poison it, and
    on a CPU without instructions for ``dtype`` the heavy operators
    :func:`~mmamp.precision.rounded_operands.round_operands`.

    Args:
        device_type (str): As in ``torch.device(...).type``.
        dtype (torch.dtype): ``torch.float32`` switches autocast off.
    """
    if not casts(dtype):
        with torch.autocast(device_type, enabled=False):
            yield
        return
    is_rounded = needs_rounding(device_type, dtype)
    if is_rounded:
        round_operands()
    with (
        torch.autocast(
            device_type,
            dtype=dtype,
            cache_enabled=not is_rounded and _cache_is_safe(),
        ),
        _safe(device_type, dtype),
    ):
        yield


@contextmanager
def in_backward(device_type: str, dtype: torch.dtype) -> Iterator[None]:
    """Cast nothing, but what activation checkpointing runs again.

    That enters autocast by itself, and needs what :func:`autocast` had around
    it in the forward pass.

    Args:
        device_type (str): As in ``torch.device(...).type``.
        dtype (torch.dtype): That the forward pass ran in.
    """
    with autocast_off(device_type), _safe(device_type, dtype):
        yield


def _safe(device_type: str, dtype: torch.dtype) -> Any:
    """Return what autocast lacks for a dtype on a device."""
    if is_narrow(dtype) and not device_of_type(device_type).is_safe_norm:
        return safe_normalize()
    return nullcontext()


@functools.cache
def _cache_is_safe() -> bool:
    """Tell whether this torch keeps gradients after a ``no_grad`` forward.

    Up to torch 2.10 a weight cast under ``no_grad`` stayed in the cache and
    cut the graph of later forwards (pytorch/pytorch#158232). Asked of torch
    itself, since vendors' builds carry fixes under other version numbers.
    """
    weight = torch.ones(1, 1, requires_grad=True)
    # A nested cache would hold on to the answer of an outer context.
    with torch.enable_grad(), torch.autocast('cpu', dtype=torch.bfloat16):
        with torch.no_grad():
            F.linear(torch.ones(1, 1), weight)
        return F.linear(torch.ones(1, 1), weight).requires_grad


_torch_normalize = F.normalize


@contextmanager
def safe_normalize() -> Iterator[None]:
    """Have ``F.normalize`` compute in float32, where it is given float16.

    Its ``eps`` of 1e-12 is zero in float16, so that a zero vector gives
    0 / 0. CUDA's autocast takes the norm in float32 by itself; others do not.
    A zero vector has no direction and here no gradient, which 1 / eps would
    make infinite in float16.

    The function itself is replaced for as long as this lasts: a mode of torch
    does not reach what a backward pass runs again.
    """
    before = F.normalize
    F.normalize = _normalize
    try:
        yield
    finally:
        F.normalize = before


def _normalize(
    input: Tensor,
    p: float = 2.0,
    dim: int = 1,
    eps: float = 1e-12,
    out: Tensor | None = None,
) -> Tensor:
    """Do what ``F.normalize`` does."""
    if not is_narrow(input.dtype):
        result: Tensor = _torch_normalize(input, p, dim, eps, out)
        return result
    x = input.float()
    norm = x.norm(p, dim, keepdim=True)
    scale = norm.clamp_min(eps)
    if eps * torch.finfo(input.dtype).max < 1:
        scale = scale.masked_fill(norm == 0, torch.inf)
    result = (x / scale).to(input.dtype)
    return result if out is None else out.copy_(result)
