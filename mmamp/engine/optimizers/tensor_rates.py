"""Rates of an optimizer that are tensors, so that compiled code sees them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

RATES = ('lr', 'weight_decay', 'momentum')
"""Settings that schedulers change."""


class TensorRates:
    """Has rates that an optimizer keeps in tensors be numbers between steps.

    Schedulers put numbers into the parameter groups, and multiply what they
    find there; torchao's optimizers, and torch's with a tensor as ``lr``, take
    nothing but the tensor that they have. For the time of a step they get it,
    with the number in it.

    Args:
        optimizer (Optimizer): Its groups are changed.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._tensors: list[tuple[int, str, Tensor]] = []
        self.take()

    def take(self) -> None:
        """Put numbers in the places of tensors, of a loaded state too."""
        known = {(i, key): tensor for i, key, tensor in self._tensors}
        for i, group in enumerate(self._optimizer.param_groups):
            for key, value in group.items():
                if (
                    isinstance(value, Tensor)
                    and value.numel() == 1
                    and value.is_floating_point()
                    and key in RATES
                ):
                    known.setdefault((i, key), value)
                    group[key] = float(value)
        self._tensors = [(*place, tensor) for place, tensor in known.items()]

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the optimizer have its tensors."""
        if not self._tensors:
            yield
            return
        groups: list[dict[str, Any]] = self._optimizer.param_groups
        numbers = [groups[i][key] for i, key, _ in self._tensors]
        for (i, key, tensor), number in zip(
            self._tensors, numbers, strict=True
        ):
            tensor.fill_(float(number))
            groups[i][key] = tensor
        try:
            yield
        finally:
            for (i, key, tensor), number in zip(
                self._tensors, numbers, strict=True
            ):
                # It may have set another itself, a number or a tensor.
                if groups[i][key] is tensor:
                    groups[i][key] = number
