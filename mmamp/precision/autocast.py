"""The autocast context, made safe and, on older CPUs, fast."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from .devices import device_of_type
from .dtypes import casts, is_narrow
from .rounded_operands import RoundedOperands, needs_rounding


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
    on a CPU without instructions for ``dtype`` the heavy operators run as
    :class:`RoundedOperands`.

    Args:
        device_type (str): As in ``torch.device(...).type``.
        dtype (torch.dtype): ``torch.float32`` switches autocast off.
    """
    if not casts(dtype):
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
        if is_narrow(dtype) and not device_of_type(device_type).is_safe_norm
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
        if func is not F.normalize or not args or not is_narrow(args[0].dtype):
            return func(*args, **kwargs)
        x = args[0]
        return func(x.float(), *args[1:], **kwargs).to(x.dtype)
