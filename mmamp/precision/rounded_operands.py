"""Mixed precision of a CPU without the instructions."""

import functools
from collections.abc import Callable
from typing import Any

import torch

from mmamp.compat.torch import replace_autocast, tree_map
from mmamp.logging.once import LogOnce

from .devices import has_native
from .dtypes import casts
from .names import name_of

HEAVY = (
    'conv1d',
    'conv1d.padding',
    'conv2d',
    'conv2d.padding',
    'conv3d',
    'conv3d.padding',
    'conv_transpose1d',
    'conv_transpose2d.input',
    'conv_transpose3d.input',
    'linear',
    'matmul',
    'mm',
    'bmm',
    'addmm',
    'baddbmm',
    'addbmm',
    '_addmm_activation',
    'scaled_dot_product_attention',
    '_native_multi_head_attention',
    'mkldnn_rnn_layer',
)
"""What autocast runs in low precision and what takes time there.

Operators that are made of these (``einsum``, ``MultiheadAttention``, ``GRU``)
come here in their parts, those of later releases of torch too.
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

    These are autocast's own kernels, for the rest of the process, not a
    context around a forward pass: what is run again in the backward pass
    (activation checkpointing) or is hidden in another operator is computed
    the same way.
    """
    replace_autocast('CPU', HEAVY, _rounded)


def _rounded(
    op: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Run an operator as autocast does, on operands of the dtype's values."""
    dtype = torch.get_autocast_dtype('cpu')
    is_native = has_native('cpu', dtype)

    def given(value: Any) -> Any:
        if not _is_eligible(value):
            return value
        low = value.to(dtype)
        return low if is_native else low.float()

    def returned(value: Any) -> Any:
        return value.to(dtype) if _is_eligible(value) else value

    with torch.autocast('cpu', enabled=False):
        result = op(*tree_map(given, args), **tree_map(given, kwargs))
    return result if is_native else tree_map(returned, result)


def _is_eligible(value: Any) -> bool:
    """Tell whether autocast on the CPU would cast this."""
    return (
        isinstance(value, torch.Tensor)
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
        f'This CPU has no {name} instructions: in this process autocast '
        'rounds the operands of convolutions, matrix products, attention and '
        f'LSTMs to {name} and computes in float32, so the run has the '
        f'numerics of {name} but is not faster than in float32.'
    )
