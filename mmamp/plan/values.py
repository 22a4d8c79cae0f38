"""Numbers that a program asks for, where tensors have none."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mmamp.compat.torch import (
    FakeTensor,
    tree_leaves,
    tree_map,
    without_modes,
)

MOST = 64
"""Elements of a tensor whose numbers are followed."""
ASKS = (
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.is_nonzero.default,
    torch.ops.aten.equal.default,
)
"""Operators whose result is a number of Python's, which waits for a device."""
FINDS = torch.ops.aten._amp_foreach_non_finite_check_and_unscale_.default
"""Finds nothing: gradients are taken to be finite."""


@dataclass
class Value:
    """The numbers of a small tensor.

    Args:
        tensor (Tensor): Holds them.
        is_known (bool): Whether they would be these in a run. What follows
            from large tensors, whose numbers nobody has, counts as 1.
    """

    tensor: Tensor
    is_known: bool


class Values:
    """Follows the numbers of small tensors, beside tensors without any.

    So that counts, loss scales and flags are what they are in a run, and a
    norm of gradients is finite.
    """

    def give(self, tensor: Tensor, real: Tensor) -> None:
        """Give a tensor without numbers those of another.

        Args:
            tensor (Tensor): The one; nothing is done if it is large.
            real (Tensor): The other.
        """
        if real.numel() <= MOST:
            _set(tensor, Value(real.detach().clone(), True))

    def ask(self, func: Any, args: tuple[Any, ...]) -> tuple[Any, bool]:
        """Answer an operator of :data:`ASKS`.

        Args:
            func (OpOverload): The operator.
            args (tuple): Its arguments.

        Returns:
            tuple[Any, bool]: The answer, and whether it is known.
        """
        found = [_of(x) for x in args if isinstance(x, Tensor)]
        if any(x is None for x in found):
            return (True if func is not ASKS[0] else _one(args[0])), False
        values = [x for x in found if x is not None]
        with without_modes(), torch.no_grad():
            answer = func(*(x.tensor for x in values))
        return answer, all(x.is_known for x in values)

    def follow(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: Any,
        result: Any,
        given: list[Tensor],
        made: list[Tensor],
    ) -> None:
        """Do with the numbers what an operator has done with the tensors.

        Args:
            func (OpOverload): The operator.
            args (tuple): Its arguments.
            kwargs (dict): Those by name.
            result (Any): What it returned.
            given (list[Tensor]): The tensors among the arguments.
            made (list[Tensor]): Those in the result.
        """
        small = [x for x in made if x.numel() <= MOST]
        if not small and (made or any(x.numel() > MOST for x in given)):
            return
        values = [_of(x) for x in given]
        if any(x is None for x in values) or func is FINDS:
            for tensor in small:
                if _of(tensor) is None:
                    _set(tensor, Value(_ones(tensor), False))
            return
        is_known = all(x is not None and x.is_known for x in values)
        with without_modes(), torch.no_grad():
            real = func(*tree_map(_real, args), **tree_map(_real, kwargs))
        for tensor, value in zip(made, tensors_in(real), strict=True):
            if isinstance(tensor, FakeTensor) and tensor.numel() <= MOST:
                _set(tensor, Value(value, is_known))


def tensors_in(value: Any) -> list[Tensor]:
    """List the tensors in arguments or a result."""
    return [x for x in tree_leaves(value) if isinstance(x, Tensor)]


def _of(tensor: Tensor) -> Value | None:
    if not isinstance(tensor, FakeTensor):
        return Value(tensor, True) if tensor.numel() <= MOST else None
    found: Value | None = vars(tensor).get('mmamp_value')
    return found


def _set(tensor: Any, value: Value) -> None:
    tensor.mmamp_value = value


def _real(x: Any) -> Any:
    found = _of(x) if isinstance(x, Tensor) else None
    return x if found is None else found.tensor


def _ones(tensor: Tensor) -> Tensor:
    with without_modes():
        return torch.ones(tensor.shape, dtype=tensor.dtype)


def _one(tensor: Tensor) -> Any:
    return _ones(tensor.new_empty(())).item()
