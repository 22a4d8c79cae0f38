"""Mixed precision of a CPU without the instructions."""

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mmamp.compat.torch import no_autocast, replace_autocast
from mmamp.logging.once import LogOnce

from .devices import has_native
from .dtypes import casts
from .names import name_of

MIN_MULTIPLY_ADDS = 2**19
"""Above this size the float32 kernel and its casts win (measured)."""


def _conv_work(x: Tensor, weight: Tensor, *_: Any) -> int:
    if x.dim() < weight.dim() - 1:
        return 0  # which torch says best
    # A strided convolution does less; the bound only has to be of the order.
    return x.numel() // max(x.shape[1 - weight.dim()], 1) * weight.numel()


def _linear_work(x: Tensor, weight: Tensor, *_: Any) -> int:
    return x.numel() * (weight.shape[0] if weight.dim() > 1 else 1)


def _matmul_work(a: Tensor, b: Tensor, *_: Any) -> int:
    return a.numel() * (b.shape[-1] if b.dim() > 1 else 1)


def _addmm_work(added: Tensor, a: Tensor, b: Tensor, *_: Any) -> int:
    return _matmul_work(a, b)


def _any_work(*_: Any) -> int:
    return MIN_MULTIPLY_ADDS  # which may have no other kernel at all


HEAVY: dict[str, Callable[..., int]] = {
    'conv1d': _conv_work,
    'conv1d.padding': _conv_work,
    'conv2d': _conv_work,
    'conv2d.padding': _conv_work,
    'conv3d': _conv_work,
    'conv3d.padding': _conv_work,
    'conv_transpose1d': _conv_work,
    'conv_transpose2d.input': _conv_work,
    'conv_transpose3d.input': _conv_work,
    'linear': _linear_work,
    'matmul': _matmul_work,
    'mm': _matmul_work,
    'bmm': _matmul_work,
    'addmm': _addmm_work,
    'baddbmm': _addmm_work,
    'addbmm': _addmm_work,
    '_addmm_activation': _addmm_work,
    'scaled_dot_product_attention': _any_work,
    '_native_multi_head_attention': _any_work,
    'mkldnn_rnn_layer': _any_work,
}
"""What autocast runs in low precision and what takes time there.

With an estimate of the multiply-adds. Operators that are made of these
(``einsum``, ``MultiheadAttention``, ``GRU``) come here in their parts, those
of later releases of torch too.
"""


def needs_rounding(device_type: str, dtype: torch.dtype) -> bool:
    """Tell whether :func:`round_operands` is for this device and dtype."""
    return (
        device_type == 'cpu' and casts(dtype) and not has_native('cpu', dtype)
    )


@functools.cache
def round_operands() -> None:
    """Make autocast as fast as float32 on a CPU without the instructions.

    On a CPU that has no bfloat16 (or float16) instructions torch falls back
    to scalar kernels, far slower than float32
    (``tools/benchmark_autocast.py`` measures it), or has none at all (LSTM in
    float16). From here on autocast rounds the operands to its dtype there,
    multiplies in float32 and rounds the result: what a native kernel does too
    (low-precision operands, float32 accumulation), up to the order of the
    sums, at the speed of float32. Gradients pass through the same roundings.
    Products too small to gain stay with torch's own kernel.

    These are autocast's own kernels, not a context around a forward pass:
    what is run again in the backward pass (activation checkpointing) or is
    hidden in another operator is computed the same way. They are for mmamp's
    autocast alone, which says so by having no weight cache: that is carried
    to wherever torch takes autocast, another thread, what is run again, a
    graph that is compiled. A ``torch.autocast`` of anybody else's computes
    what it always did.
    """
    for name, work in HEAVY.items():
        replace_autocast('CPU', name, partial(_rounded, work))


def _rounded(
    work: Callable[..., int],
    op: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Run an operator as autocast does, on operands of the dtype's values."""
    dtype = torch.get_autocast_dtype('cpu')
    is_cast = (
        torch.is_autocast_cache_enabled()
        or has_native('cpu', dtype)
        or work(*args) < MIN_MULTIPLY_ADDS
    )

    def given(value: Any) -> Any:
        if isinstance(value, (list, tuple)):
            return [*map(given, value)]
        if not _is_eligible(value):
            return value
        low = value.to(dtype)
        return low if is_cast else low.float()

    with no_autocast('CPU'):
        result = op(
            *map(given, args), **{key: given(x) for key, x in kwargs.items()}
        )
        if is_cast:
            return result
        if isinstance(result, Tensor):
            return result.to(dtype) if _is_eligible(result) else result
        return tuple(x.to(dtype) if _is_eligible(x) else x for x in result)


def _is_eligible(value: Any) -> bool:
    """Tell whether autocast on the CPU would cast this."""
    return (
        isinstance(value, Tensor)
        and value.is_floating_point()
        and value.dtype is not torch.float64
        and value.device.type == 'cpu'
    )


_log_once = LogOnce()
"""Of the process: every wrapper has the same CPU."""


def warn_slow_cpu(dtype: torch.dtype) -> None:
    """Say once that mixed precision will not be faster on this CPU.

    Args:
        dtype (torch.dtype): That the CPU has no instructions for.
    """
    name = name_of(dtype)
    _log_once.warn(
        f"This CPU has no {name} instructions: mmamp's autocast "
        'rounds the operands of large convolutions and matrix products, of '
        f'attention and LSTMs to {name} and computes in float32, so the run '
        f'has the numerics of {name} but is not faster than in float32.'
    )
