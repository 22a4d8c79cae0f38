"""Which dtypes a device can autocast to, and the autocast context itself."""

import functools
import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from torch.overrides import TorchFunctionMode

DTYPE_NAMES = ('float16', 'bfloat16', 'float32', 'float64', 'auto')
"""Names that a config may give; ``None`` stands for the device's default."""
CPUINFO = Path('/proc/cpuinfo')
"""What Linux, and nobody else, says of the processor."""


def autocast_dtypes(device_type: str) -> tuple[torch.dtype, ...]:
    """The dtypes that ``torch.autocast`` has on a device.

    Args:
        device_type (str): As in ``torch.device(...).type``: ``'cpu'``,
            ``'cuda'``, ``'mps'``, ``'xpu'``, ``'npu'``, ``'mlu'``, ``'musa'``.

    Returns:
        tuple[torch.dtype, ...]: Best supported first. float32, which every
        device has, is not among them: it means that nothing is cast.
    """
    backend: Any = getattr(torch, device_type, None)
    if hasattr(backend, 'get_amp_supported_dtype'):
        # What a backend outside of torch (NPU, MLU, MUSA) says of itself.
        return tuple(backend.get_amp_supported_dtype())
    if device_type != 'cpu' and not has_native(device_type, torch.bfloat16):
        return (torch.float16,)
    return (torch.bfloat16, torch.float16)


def has_native(device_type: str, dtype: torch.dtype) -> bool:
    """Whether the device computes in ``dtype`` by instructions of its own.

    Args:
        device_type (str): As in ``torch.device(...).type``.
        dtype (torch.dtype): ``torch.float16`` or ``torch.bfloat16``.
    """
    if device_type == 'cpu':
        return _cpu_has_native(dtype)
    if dtype is torch.float16:
        return True
    if device_type == 'cuda':
        # torch.cuda.is_bf16_supported() also counts emulation (Turing and
        # older), which is slower than float16 there.
        return torch.version.hip is not None or (
            torch.cuda.is_available()
            and torch.cuda.get_device_capability()[0] >= 8
        )
    is_supported = getattr(
        getattr(torch, device_type, None), 'is_bf16_supported', None
    )
    return is_supported is None or bool(is_supported())


@functools.cache
def _cpu_has_native(dtype: torch.dtype) -> bool:
    """Whether oneDNN computes in ``dtype`` by the processor's instructions."""
    query = {
        torch.bfloat16: '_is_mkldnn_bf16_supported',
        torch.float16: '_is_mkldnn_fp16_supported',
    }.get(dtype)
    try:
        has_kernels = query and bool(getattr(torch.ops.mkldnn, query)())
    except (AttributeError, RuntimeError):  # a torch built without oneDNN
        return False
    return bool(has_kernels) and not _emulates(dtype)


def _emulates(dtype: torch.dtype) -> bool:
    """Whether oneDNN's kernels make up for instructions that are missing.

    For bfloat16 it has such on every x86 processor with AVX-512, and they are
    slower than those of float32.
    """
    if dtype is not torch.bfloat16 or not CPUINFO.is_file():
        return False
    flags = re.search(r'^flags\s*:(.*)$', CPUINFO.read_text(), re.MULTILINE)
    # Other architectures have no such line.
    return flags is not None and not (
        {'avx512_bf16', 'amx_bf16'} & set(flags[1].split())
    )


def resolve_dtype(
    dtype: str | torch.dtype | None, device_type: str
) -> torch.dtype:
    """The dtype to autocast to, from what a config says.

    Args:
        dtype (str or torch.dtype, optional): One of :data:`DTYPE_NAMES` or
            the dtype itself. ``None`` is PyTorch's default for the device
            (CUDA float16, CPU bfloat16); ``'auto'`` is bfloat16 where the
            hardware has it, else float16 (on a CPU, where neither is native,
            bfloat16, since it needs no loss scale).
        device_type (str): As in ``torch.device(...).type``.

    Returns:
        torch.dtype: ``torch.float32`` means that nothing is cast.

    Raises:
        TypeError: If ``dtype`` is neither a name nor a dtype.
        ValueError: If the name is unknown or the device has no autocast to
            this dtype.
    """
    valid = f'one of {", ".join(map(repr, DTYPE_NAMES))}, or None'
    if dtype is None:
        dtype = torch.get_autocast_dtype(device_type)
    elif dtype == 'auto':
        return _auto_dtype(device_type)
    elif isinstance(dtype, str):
        if dtype not in DTYPE_NAMES:
            raise ValueError(f'dtype={dtype!r} is unknown: give {valid}')
        dtype = getattr(torch, dtype)
    if not isinstance(dtype, torch.dtype):
        raise TypeError(
            f'dtype must be a str, a torch.dtype or None, but got {dtype!r} '
            f'of type {type(dtype).__name__}: give {valid}'
        )
    possible = (*autocast_dtypes(device_type), torch.float32)
    if dtype not in possible:
        names = ', '.join(str(d).removeprefix('torch.') for d in possible)
        raise ValueError(
            f'device {device_type!r} cannot run mixed precision in '
            f'{str(dtype).removeprefix("torch.")}; it can: {names}'
        )
    return dtype


def _auto_dtype(device_type: str) -> torch.dtype:
    possible = autocast_dtypes(device_type)
    native = [d for d in possible if has_native(device_type, d)]
    for dtype in (torch.bfloat16, torch.float16):
        if dtype in (native or possible):
            return dtype
    raise ValueError(
        f'device {device_type!r} has neither bfloat16 nor '
        f'float16 autocast; it can: {possible}'
    )


def autocast_off(device_type: str) -> Any:
    """A context in which nothing is cast (free where nothing is anyway)."""
    if torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


@contextmanager
def autocast(device_type: str, dtype: torch.dtype) -> Iterator[None]:
    """``torch.autocast``, made safe and, on older CPUs, fast.

    Two differences from the bare context: the weight cache is off on those
    torch releases where a forward pass under ``no_grad`` would poison it, and
    on a CPU without instructions for ``dtype`` the heavy operators run as
    :class:`RoundedOperands`.

    Args:
        device_type (str): As in ``torch.device(...).type``.
        dtype (torch.dtype): ``torch.float32`` switches autocast off.
    """
    if dtype is torch.float32:
        with torch.autocast(device_type, enabled=False):
            yield
        return
    heavy = (
        RoundedOperands()
        if needs_rounding(device_type, dtype)
        else nullcontext()
    )
    safe = (
        SafeNormalize()
        if dtype is torch.float16 and device_type != 'cuda'
        else nullcontext()
    )
    with (
        torch.autocast(
            device_type, dtype=dtype, cache_enabled=_cache_is_safe()
        ),
        heavy,
        safe,
    ):
        yield


def needs_rounding(device_type: str, dtype: torch.dtype) -> bool:
    """Whether :func:`autocast` uses :class:`RoundedOperands` here."""
    return (
        device_type == 'cpu'
        and dtype is not torch.float32
        and not has_native('cpu', dtype)
    )


@functools.cache
def _cache_is_safe() -> bool:
    """Whether this torch keeps gradients after a ``no_grad`` forward.

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


class SafeNormalize(TorchFunctionMode):
    """``F.normalize`` in float32, where its ``eps`` of 1e-12 is not zero.

    In float16 it is, so that a zero vector gives 0 / 0. CUDA's autocast takes
    the norm in float32 by itself; others do not.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Replace ``F.normalize`` of float16 tensors."""
        kwargs = kwargs or {}
        if (
            func is not F.normalize
            or not args
            or args[0].dtype is not torch.float16
        ):
            return func(*args, **kwargs)
        return func(args[0].float(), *args[1:], **kwargs).half()


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
            or (dtype := _dtype_of(*operands)) is torch.float32
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
    """What is multiplied, given by position or by name."""
    names = ('input', 'weight', 'other', 'mat2')
    return [*args, *(kwargs[x] for x in names if x in kwargs)][:2]


def _is_eligible(value: Any) -> bool:
    """Whether autocast on the CPU would cast this argument."""
    return (
        isinstance(value, torch.Tensor)
        and value.is_floating_point()
        and value.dtype is not torch.float64
        and value.device.type == 'cpu'
    )


def _dtype_of(x: torch.Tensor, weight: torch.Tensor) -> torch.dtype:
    """The dtype that an operator has on the CPU, maybe by autocast."""
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


@functools.cache
def warn_slow_cpu(dtype: torch.dtype) -> None:
    """Say once that mixed precision will not be faster on this CPU."""
    name = str(dtype).removeprefix('torch.')
    print_log(
        f'This CPU has no {name} instructions: large convolutions and matrix '
        f'products round their operands to {name} and compute in float32, '
        f'so the run has the numerics of {name} but is not faster than in '
        'float32.',
        logger='current',
        level=logging.WARNING,
    )
