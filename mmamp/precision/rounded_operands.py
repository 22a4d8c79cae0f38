"""Mixed precision of a CPU without the instructions."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from mmamp.logging.once import LogOnce

from .devices import has_native
from .dtypes import casts
from .names import name_of


def needs_rounding(device_type: str, dtype: torch.dtype) -> bool:
    """Tell whether :func:`autocast` uses :class:`RoundedOperands` here."""
    return (
        device_type == 'cpu' and casts(dtype) and not has_native('cpu', dtype)
    )


class RoundedOperands(TorchFunctionMode):
    """Convolutions and matrix products of a CPU without the instructions.

    On a CPU that has no bfloat16 (or float16) instructions torch falls back
    to scalar kernels, far slower than float32
    (``tools/benchmark_autocast.py`` measures it). This mode rounds
    the operands to the autocast dtype, multiplies in float32 and rounds the
    result: what a native kernel does too (low-precision operands, float32
    accumulation), up to the order of the sums, at the speed of float32.
    Gradients pass through the same roundings. Operands that a model cast by
    itself, autocast off, fare the same. Products too small to gain stay with
    torch's own kernel.
    """

    min_multiply_adds = 2**19
    """Above this size the float32 kernel and its casts win (measured)."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Replace a heavy operator while autocast is on."""
        kwargs = kwargs or {}
        work = _MULTIPLY_ADDS.get(func)
        if work is None:
            return func(*args, **kwargs)
        operands = _operands(args, kwargs)
        if (
            len(operands) < 2  # which torch says best
            or not all(map(_is_eligible, operands))
            or not casts(dtype := _dtype_of(*operands))
            or work(*operands) < self.min_multiply_adds
        ):
            return func(*args, **kwargs)

        def rounded(value: Any) -> Any:
            return value.to(dtype).float() if _is_eligible(value) else value

        with torch.autocast('cpu', enabled=False):
            result = func(
                *map(rounded, args),
                **{k: rounded(v) for k, v in kwargs.items()},
            )
        return result.to(dtype)


def _operands(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    """Return what is multiplied, given by position or by name."""
    names = ('input', 'weight', 'other', 'mat2')
    return [*args, *(kwargs[x] for x in names if x in kwargs)][:2]


def _is_eligible(value: Any) -> bool:
    """Tell whether autocast on the CPU would cast this argument."""
    return (
        isinstance(value, torch.Tensor)
        and value.is_floating_point()
        and value.dtype is not torch.float64
        and value.device.type == 'cpu'
    )


def _dtype_of(x: torch.Tensor, weight: torch.Tensor) -> torch.dtype:
    """Return the dtype that an operator has on the CPU, maybe by autocast."""
    if torch.is_autocast_enabled('cpu'):
        return torch.get_autocast_dtype('cpu')
    # Operands that differ are a mistake, which torch tells better.
    return x.dtype if x.dtype is weight.dtype else torch.float32


def _conv_work(x: torch.Tensor, weight: torch.Tensor) -> int:
    # A strided convolution does less; the bound only has to be of the order.
    return x.numel() // max(x.shape[1 - weight.dim()], 1) * weight.numel()


def _linear_work(x: torch.Tensor, weight: torch.Tensor) -> int:
    return x.numel() * weight.shape[0]


def _matmul_work(a: torch.Tensor, b: torch.Tensor) -> int:
    return a.numel() * (b.shape[-1] if b.dim() > 1 else 1)


_MULTIPLY_ADDS: dict[
    Callable[..., Any], Callable[[torch.Tensor, torch.Tensor], int]
] = {
    F.conv1d: _conv_work,
    F.conv2d: _conv_work,
    F.conv3d: _conv_work,
    F.conv_transpose1d: _conv_work,
    F.conv_transpose2d: _conv_work,
    F.conv_transpose3d: _conv_work,
    F.linear: _linear_work,
    torch.matmul: _matmul_work,
    torch.mm: _matmul_work,
    torch.bmm: _matmul_work,
    torch.Tensor.matmul: _matmul_work,
    torch.Tensor.__matmul__: _matmul_work,
    torch.Tensor.mm: _matmul_work,
    torch.Tensor.bmm: _matmul_work,
}
"""The heavy operators, with an estimate of their multiply-adds."""


_log_once = LogOnce()
"""Of the process: every wrapper has the same CPU."""


def warn_slow_cpu(dtype: torch.dtype) -> None:
    """Say once that mixed precision will not be faster on this CPU.

    Args:
        dtype (torch.dtype): That the CPU has no instructions for.
    """
    name = name_of(dtype)
    _log_once.warn(
        f'This CPU has no {name} instructions: large convolutions and matrix '
        f'products round their operands to {name} and compute in float32, '
        f'so the run has the numerics of {name} but is not faster than in '
        'float32.'
    )
