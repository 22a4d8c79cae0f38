"""Models and batches whose tensors have a shape, and no numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.distributed import device_mesh

from mmamp.compat.torch import (
    FakeTensor,
    FakeTensorMode,
    buffers_of,
    parameters_of,
    tree_map,
    without_modes,
)

from .values import Values


class Fakes:
    """Makes tensors without numbers, or leaves all as it is.

    Args:
        is_on (bool): Whether it does. Without, everything is computed.

    Attributes:
        values (Values, optional): Follows small numbers; None where all have
            theirs.
    """

    def __init__(self, is_on: bool) -> None:
        self._mode = FakeTensorMode(allow_non_fake_inputs=True)
        self.values = Values() if is_on else None
        self._made: dict[int, Tensor] = {}
        self._given: list[Tensor] = []

    @contextmanager
    def mode(self) -> Iterator[None]:
        """Have operators compute shapes alone."""
        if self.values is None:
            yield
            return
        with (
            self._mode,
            # All is on the CPU already, and a parameter that something has a
            # weak reference to cannot be swapped for another.
            patch.object(nn.Module, 'to', _stay),
            # torch's copies what a fake has, the mode with all its caches.
            patch.object(FakeTensor, '__deepcopy__', _copied),
            # A mesh is told which ranks it has by numbers.
            patch.object(device_mesh, 'init_device_mesh', _make_mesh),
        ):
            yield

    def of_model(self, model: nn.Module) -> nn.Module:
        """Take the numbers out of a model.

        Args:
            model (nn.Module): Changed in place.
        """
        if self.values is None:
            return model
        for module in model.modules():
            for held in (parameters_of(module), buffers_of(module)):
                for name, tensor in held.items():
                    if tensor is not None:
                        held[name] = self.of_tensor(tensor)  # type: ignore[index]
        for module in model.modules():
            # Such as the parameters of an average, by name.
            for name, value in vars(module).items():
                if isinstance(value, dict) and name[:1] != '_':
                    own = {k: self._known(x) for k, x in value.items()}
                    value.update(own)
        return model

    def of_batch(self, batch: Any) -> Any:
        """Take the numbers out of the tensors of a batch."""
        if self.values is None:
            return batch
        return tree_map(
            lambda x: self.of_tensor(x) if isinstance(x, Tensor) else x, batch
        )

    def of_tensor(self, tensor: Tensor) -> Tensor:
        """Return the tensor that stands for one; always the same."""
        found = self._made.get(id(tensor))
        if found is not None or self.values is None:
            return tensor if found is None else found
        with self._mode:
            made = torch.empty_strided(
                tensor.shape, _strides(tensor), dtype=tensor.dtype
            )
        self.values.give(made, tensor)
        if isinstance(tensor, nn.Parameter):
            value = vars(made)
            made = nn.Parameter(made, requires_grad=tensor.requires_grad)
            vars(made).update({**value, **vars(tensor)})
        self._made[id(tensor)] = made
        self._given.append(tensor)
        return made

    def _known(self, value: Any) -> Any:
        return self._made.get(id(value), value)

    def forget(self) -> None:
        """Let go of the tensors that others stand for."""
        self._made.clear()
        self._given.clear()


def _strides(tensor: Tensor) -> tuple[int, ...]:
    """Return those of a tensor, or of one that has all its elements."""
    is_whole = 0 not in tensor.stride() or not tensor.numel()
    return (
        tensor.stride()
        if is_whole
        else torch.empty(tensor.shape, device='meta').stride()
    )


def _copied(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
    """Copy a tensor without numbers, for ``copy.deepcopy``."""
    if id(tensor) not in memo:
        made = tensor.detach().clone()
        if isinstance(tensor, nn.Parameter):
            made = nn.Parameter(made, requires_grad=tensor.requires_grad)
        else:
            made.requires_grad_(tensor.requires_grad)
        own = vars(made)
        own.update({k: v for k, v in vars(tensor).items() if k not in own})
        memo[id(tensor)] = made
    found: Tensor = memo[id(tensor)]
    return found


_init_device_mesh = device_mesh.init_device_mesh


def _make_mesh(*args: Any, **kwargs: Any) -> Any:
    with without_modes():
        return _init_device_mesh(*args, **kwargs)


def _stay(module: nn.Module, *args: Any, **kwargs: Any) -> nn.Module:
    return module
