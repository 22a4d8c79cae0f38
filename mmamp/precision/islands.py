"""Modules that run in a dtype of their own."""

from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mmamp.compat.torch import forward_pre_hooks, tree_leaves, tree_map

from .dtypes import casts


class Island:
    """Runs one module in a dtype of its own, by means of forward hooks.

    It enters its autocast state before anything else of the module's call
    and leaves it after everything else, an exception included. A deep copy of
    the module has an island of its own.

    Args:
        dtype (torch.dtype, optional): What the module computes in; float32
            switches autocast off. None leaves the precision as it is.
        output_dtype (torch.dtype or str, optional): What floating outputs are
            cast to; ``'input'`` is the dtype of the first floating input.
            Defaults to None: as computed.
        clamp (float, optional): Outputs are clamped to ``[-clamp, clamp]``.
            Defaults to None.
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
        # One entry for each call under way: a module may call itself.
        self._open: list[tuple[Any, torch.dtype | None]] = []
        self._handles: list[RemovableHandle] = []

    def install(self, module: nn.Module) -> None:
        """Make a module an island."""
        self._handles = [
            module.register_forward_pre_hook(
                self.enter, prepend=True, with_kwargs=True
            ),
            module.register_forward_hook(self.leave, always_call=True),
        ]

    def reinstall(self, module: nn.Module, wrap: Callable[[Any], Any]) -> None:
        """Put something around what a module's call is made an island by.

        From then on deep copies of the module share this island.

        Args:
            module (nn.Module): It is one.
            wrap (Callable): Such as ``torch.compiler.disable``.
        """
        for handle in self._handles:
            handle.remove()
        before, after = wrap(self.enter), wrap(self.leave)
        before.__self__ = after.__self__ = self  # for `islands`
        self._handles = [
            module.register_forward_pre_hook(
                before, prepend=True, with_kwargs=True
            ),
            module.register_forward_hook(after, always_call=True),
        ]

    def enter(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Forward pre-hook: switch the precision, cast the inputs."""
        first = _first_floating(args, kwargs)
        context = self._context(module, args, kwargs)
        if context is not None:
            context.__enter__()
        self._open.append((context, None if first is None else first.dtype))
        if self.dtype is None:
            return args, kwargs
        return tree_map(self._cast, args), tree_map(self._cast, kwargs)

    def leave(
        self, module: nn.Module, args: tuple[Any, ...], output: Any
    ) -> Any:
        """Forward hook: switch back, clamp and cast the outputs."""
        if not self._open:
            return output  # an earlier pre-hook has failed
        context, input_dtype = self._open.pop()
        if context is not None:
            context.__exit__(None, None, None)
        dtype = (
            input_dtype if self.output_dtype == 'input' else self.output_dtype
        )
        if dtype is None and self.clamp is None:
            return output

        def finish(value: Any) -> Any:
            if not is_floating(value):
                return value
            if self.clamp is not None:
                value = value.clamp(-self.clamp, self.clamp)
            return value if dtype is None else value.to(dtype)

        return tree_map(finish, output)

    def _context(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Return the autocast state of the module, unless it holds already."""
        if self.dtype is None:
            return None
        device = device_of(module, args, kwargs)
        enabled = casts(self.dtype)
        if enabled == torch.is_autocast_enabled(device) and (
            not enabled or torch.get_autocast_dtype(device) is self.dtype
        ):
            return None
        return torch.autocast(
            device,
            dtype=self.dtype if enabled else None,
            enabled=enabled,
            cache_enabled=torch.is_autocast_cache_enabled(),
        )

    def _cast(self, value: Any) -> Any:
        if is_floating(value) and value.dtype is not torch.float64:
            return value.to(self.dtype)
        return value


def islands(module: nn.Module) -> list[Island]:
    """Those that are installed in a module itself."""
    owners = [
        getattr(hook, '__self__', None) for hook in forward_pre_hooks(module)
    ]
    return [owner for owner in owners if isinstance(owner, Island)]


def is_floating(value: Any) -> TypeGuard[Tensor]:
    """Tell whether a value is a tensor of a floating dtype."""
    return isinstance(value, Tensor) and value.is_floating_point()


def _first_floating(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor | None:
    """Return the first floating tensor among arguments, in containers too."""
    for value in tree_leaves((args, kwargs)):
        if is_floating(value):
            return value
    return None


def device_of(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str:
    """Return the type of the device that a module computes on."""
    for value in (*module.parameters(), *tree_leaves((args, kwargs))):
        if isinstance(value, Tensor):
            return value.device.type
    return 'cpu'
