"""What CUDA's own autocast does with an operator, asked of torch.

Its kernels are in every build of torch, and look at nothing but where a tensor
says that it is: tensors without numbers may say that they are on a GPU which
is not there. No gradient goes through them, for which there would have to be
one.
"""

import functools
from typing import Any

import torch
from torch import Tensor

from mmamp.compat.torch import (
    FakeTensorMode,
    TorchDispatchMode,
    autocast_set_to,
    fake_on,
    tree_leaves,
    tree_map,
    without_modes,
)

from .autocast_lists import AS_OUTPUT, FULL, LOW, REFUSED, WIDEST

_SOFTMAX = (
    torch.ops.aten._softmax.default,
    torch.ops.aten._log_softmax.default,
)
"""Which are told by another argument."""
_CASTS = torch.ops.aten._to_copy.default


class _Reached(Exception):
    """The operator itself was reached, cast or not."""


class _Until(TorchDispatchMode):
    """Lets casts of arguments through, and stops at the operator."""

    def __init__(self, arguments: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._arguments = arguments
        self.casts: dict[int, torch.dtype] = {}
        self.is_told = False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace == 'prim':
            return func(*args, **kwargs)  # it asks where a tensor is
        if func is _CASTS and 'dtype' in kwargs:
            for i, tensor in enumerate(self._arguments):
                if args[0] is tensor:
                    self.casts[i] = kwargs['dtype']
                    return func(*args, **kwargs)
        told = [*args, *kwargs.values()]
        self.is_told = any(x is torch.float32 for x in told) or (
            func in _SOFTMAX and args[2] is True
        )
        raise _Reached


@functools.cache
def can_be_asked() -> bool:
    """Tell whether this torch answers for CUDA."""
    try:
        low = torch.empty(1, 1)
        return asked(torch.ops.aten.mm.default, (low, low)) == LOW
    except (RuntimeError, AssertionError, TypeError):
        return False


def asked(
    op: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any] | None = None,
    device: str = 'cuda',
) -> str | None:
    """Ask what autocast does with a call in float16.

    Args:
        op (OpOverload): The operator.
        args (tuple): Its arguments; of tensors, shapes and dtypes count.
        kwargs (dict, optional): Those by name. Defaults to None: none.
        device (str): Whose autocast. Defaults to ``'cuda'``.

    Returns:
        str or None: Of ``autocast_lists``; None where nothing is done.
    """
    with without_modes(), FakeTensorMode() as mode, torch.no_grad():

        def stand_in(x: Any) -> Any:
            return fake_on(mode, x, device) if isinstance(x, Tensor) else x

        args, kwargs = tree_map(stand_in, (tuple(args), kwargs or {}))
        tensors = [
            x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)
        ]
        until = _Until(tensors)
        try:
            with until, autocast_set_to(device, torch.float16):
                op(*args, **kwargs)
        except _Reached:
            pass
        except RuntimeError as error:
            if 'unsafe to autocast' in str(error):
                return REFUSED
            raise
    if until.is_told and not until.casts:
        return AS_OUTPUT
    return _kind(until.casts, tensors)


def _kind(casts: dict[int, torch.dtype], tensors: list[Tensor]) -> str | None:
    """Say what casts of arguments amount to."""
    found = set(casts.values())
    if torch.float16 in found:
        return LOW
    if torch.float32 not in found:
        return None
    given = {x.dtype for x in tensors if x.is_floating_point()}
    return WIDEST if torch.float32 in given else FULL
