"""Modules that run in a dtype of their own."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from types import MethodType
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from mmamp.compat.torch import (
    is_autocast_available,
    tree_leaves,
    tree_map,
)

from .dtypes import casts


class Island:
    """Runs one method of one object, such as ``forward``, in its own dtype.

    It takes the place of the method in the object, not in its class, and is
    plain code around it, which torch compiles, copies, pickles and runs again
    in a backward pass like any other. A deep copy of the object has an island
    of its own.

    Args:
        dtype (torch.dtype, optional): What the module computes in; float32
            switches autocast off. None leaves the precision as it is.
        output_dtype (torch.dtype or str, optional): What floating outputs are
            cast to; ``'input'`` is the dtype of the first floating input.
            Defaults to None: as computed.
        clamp (float, optional): Outputs are clamped to ``[-clamp, clamp]``.
            Defaults to None.

    Attributes:
        owner (Any): The object.
        has_run (bool): Whether the method has been called.
        seen_dtype (torch.dtype, optional): Of what it computed last, before
            ``output_dtype``; None before, and if that was no tensor.
    """

    def __init__(
        self,
        dtype: torch.dtype | None,
        output_dtype: torch.dtype | str | None = None,
        clamp: float | None = None,
    ) -> None:
        self.dtype = dtype
        self.output_dtype = output_dtype
        self.clamp = clamp
        self.has_run = False
        self.seen_dtype: torch.dtype | None = None

    def install(self, owner: Any, method: str = 'forward') -> None:
        """Make an object an island.

        Args:
            owner (Any): A module, also a ``ScriptModule``, or what a module
                has as a hook.
            method (str): What of it is run. Defaults to ``'forward'``.
        """
        self.owner, self._method = owner, method
        # One of its class is looked up there when it is called: copies and
        # pickles of the object hold nothing but this.
        given = getattr(owner, method)
        self._given = None if isinstance(given, MethodType) else given
        setattr(owner, method, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Switch the precision, cast what goes in and what comes out."""
        self.has_run = True
        with self._precision(args, kwargs):
            output = self.run_given(
                *tree_map(self._cast, args), **tree_map(self._cast, kwargs)
            )
        self.seen_dtype = output.dtype if isinstance(output, Tensor) else None
        dtype = self.output_dtype
        if dtype == 'input':
            dtype = _first_dtype(args, kwargs)
        if dtype is None and self.clamp is None:
            return output

        def finish(value: Any) -> Any:
            if not is_floating(value):
                return value
            if self.clamp is not None:
                value = value.clamp(-self.clamp, self.clamp)
            return value if dtype is None else value.to(dtype)

        return tree_map(finish, output)

    def run_given(self, *args: Any, **kwargs: Any) -> Any:
        """Run what the island stands in place of."""
        if self._given is not None:
            return self._given(*args, **kwargs)
        function = getattr(type(self.owner), self._method)
        return function(self.owner, *args, **kwargs)

    def _precision(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> AbstractContextManager[Any]:
        device = _device(self.owner, args, kwargs)
        # There is none where nothing is computed, as on 'meta'.
        if self.dtype is None or not is_autocast_available(device):
            return nullcontext()
        enabled = casts(self.dtype)
        if enabled == torch.is_autocast_enabled(device) and (
            not enabled or self.dtype is torch.get_autocast_dtype(device)
        ):
            return nullcontext()  # an island around it has done so
        return torch.autocast(
            device,
            dtype=self.dtype if enabled else None,
            enabled=enabled,
            cache_enabled=torch.is_autocast_cache_enabled(),
        )

    def _cast(self, value: Any) -> Any:
        if (
            self.dtype is not None
            and is_floating(value)
            and value.dtype is not torch.float64
        ):
            return value.to(self.dtype)
        return value


def islands(owner: Any, method: str = 'forward') -> list[Island]:
    """Return those that are installed in an object itself, outermost first.

    Args:
        owner (Any): A module, or a hook.
        method (str): Of it. Defaults to ``'forward'``.
    """
    found = []
    call = vars(owner).get(method)
    while isinstance(call, Island):
        found.append(call)
        call = call._given
    return found


def is_floating(value: Any) -> TypeGuard[Tensor]:
    """Tell whether a value is a tensor of a floating dtype."""
    return isinstance(value, Tensor) and value.is_floating_point()


def _first_dtype(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> torch.dtype | None:
    """Return that of the first floating argument, in containers too."""
    for value in tree_leaves((args, kwargs)):
        if is_floating(value):
            return value.dtype
    return None


def _device(owner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    """Return the type of the device that a call computes on."""
    for value in _tensors((owner, *tree_leaves((args, kwargs)))):
        return value.device.type
    return 'cpu'


def _tensors(values: tuple[Any, ...]) -> Iterator[Tensor]:
    """Yield tensors, and what modules have as parameters."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, nn.Module):
            yield from value.parameters()
