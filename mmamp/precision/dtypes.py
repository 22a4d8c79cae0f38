"""The table of dtypes: what each is, and which one a config means."""

from typing import Any

import torch

from .devices import has_native

DTYPE_NAMES = ('float16', 'bfloat16', 'float32', 'float64', 'auto')
"""Names that a config may give; ``None`` stands for the device's default."""


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
