"""Which dtype a config means on a device, and what dtypes are to autocast."""

from typing import Any

import torch
from torch import Tensor

from .devices import device_of_type
from .names import AUTO, CHOICES, DTYPES, FULL, described, name_of

BY_NAME: dict[str, torch.dtype] = {x: getattr(torch, x) for x in DTYPES}
"""torch's dtypes of the table."""


def casts(dtype: torch.dtype) -> bool:
    """Tell whether anything is cast where this is the dtype to run in.

    Args:
        dtype (torch.dtype): Of the table.
    """
    return name_of(dtype) != FULL


def is_narrow(dtype: torch.dtype) -> bool:
    """Tell whether a dtype's range asks for a loss scale.

    Args:
        dtype (torch.dtype): Any.
    """
    row = DTYPES.get(name_of(dtype))
    return row is not None and row.is_narrow


def is_low(dtype: torch.dtype) -> bool:
    """Tell whether a dtype has fewer bits than float32.

    Args:
        dtype (torch.dtype): Any.
    """
    row = DTYPES.get(name_of(dtype))
    return row is not None and row.is_low


def at_least_float32(values: Tensor) -> Tensor:
    """Return numbers that a loss scale of 65536 cannot overflow.

    Args:
        values (Tensor): Floating, such as a loss; those of more bits than
            float32 stay as they are.
    """
    return values.float() if is_low(values.dtype) else values


def autocast_dtypes(device_type: str) -> tuple[torch.dtype, ...]:
    """Return the dtypes that ``torch.autocast`` has on a device.

    Args:
        device_type (str): As in ``torch.device(...).type``: ``'cpu'``,
            ``'cuda'``, ``'mps'``, ``'xpu'``, ``'npu'``, ``'mlu'``, ``'musa'``.

    Returns:
        tuple[torch.dtype, ...]: Best supported first. float32, which every
        device has, is not among them: it means that nothing is cast.
    """
    return device_of_type(device_type).autocast_dtypes()


def resolve_dtype(
    dtype: str | torch.dtype | None, device_type: str
) -> torch.dtype:
    """Return the dtype to autocast to, from what a config says.

    Args:
        dtype (str or torch.dtype, optional): One of ``names.CHOICES`` or
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
    valid = f'one of {described()}, or None'
    if dtype is None:
        dtype = torch.get_autocast_dtype(device_type)
    elif isinstance(dtype, str):
        if dtype == AUTO:
            return _auto_dtype(device_type)
        if dtype not in CHOICES:
            raise ValueError(f'dtype={dtype!r} is unknown: give {valid}')
        dtype = BY_NAME[dtype]
    if not isinstance(dtype, torch.dtype):
        raise TypeError(
            f'dtype must be a str, a torch.dtype or None, but got {dtype!r} '
            f'of type {type(dtype).__name__}: give {valid}'
        )
    possible = (*autocast_dtypes(device_type), BY_NAME[FULL])
    if dtype not in possible:
        raise ValueError(
            f'device {device_type!r} cannot run mixed precision in '
            f'{name_of(dtype)}; it can: {", ".join(map(name_of, possible))}'
        )
    return dtype


def _auto_dtype(device_type: str) -> torch.dtype:
    device = device_of_type(device_type)
    possible = device.autocast_dtypes()
    native = [x for x in possible if device.has_native(x)]
    # One that needs no loss scale, where there is a choice.
    best = sorted(native or possible, key=is_narrow)
    known: Any = [x for x in best if x in BY_NAME.values()]
    if not known:
        raise ValueError(
            f'device {device_type!r} has neither bfloat16 nor '
            f'float16 autocast; it can: {possible}'
        )
    dtype: torch.dtype = known[0]
    return dtype
