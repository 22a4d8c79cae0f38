"""Modules that run in a precision of their own."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.utils._pytree import tree_map


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

    def install(self, module: nn.Module) -> None:
        """Make a module an island."""
        module.register_forward_pre_hook(
            self.enter, prepend=True, with_kwargs=True
        )
        module.register_forward_hook(self.leave, always_call=True)

    def enter(
        self, module: nn.Module, args: tuple, kwargs: dict
    ) -> tuple[tuple, dict]:
        """Forward pre-hook: switch the precision, cast the inputs."""
        first = _first_floating(args, kwargs)
        context = self._context(first)
        if context is not None:
            context.__enter__()
        self._open.append((context, None if first is None else first.dtype))
        if self.dtype is None:
            return args, kwargs
        return tree_map(self._cast, args), tree_map(self._cast, kwargs)

    def leave(self, module: nn.Module, args: tuple, output: Any) -> Any:
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

    def _context(self, first: Tensor | None) -> Any:
        """The autocast state of the module, unless it holds already."""
        if self.dtype is None:
            return None
        device = 'cpu' if first is None else first.device.type
        enabled = self.dtype is not torch.float32
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


class _OldSpectralNorm(Island):
    """An island around a ``torch.nn.utils.spectral_norm`` pre-hook.

    That one normalises the weight in a forward pre-hook of the module whose
    weight it is, and only this shall be in float32, not the module.
    """

    def __init__(self) -> None:
        super().__init__(torch.float32)

    def install(self, module: nn.Module) -> None:
        """Enter before the other pre-hooks and leave after them."""
        module.register_forward_pre_hook(self._enter, prepend=True)
        module.register_forward_pre_hook(self._leave)
        # Where a pre-hook fails.
        module.register_forward_hook(self.leave, always_call=True)

    def _enter(self, module: nn.Module, args: tuple) -> None:
        self.enter(module, args, {})

    def _leave(self, module: nn.Module, args: tuple) -> None:
        self.leave(module, args, None)


def is_spectral_norm(module: nn.Module) -> bool:
    """Whether torch's spectral norm, of either kind, runs in a module."""
    return isinstance(module, _SpectralNorm) or any(
        isinstance(hook, SpectralNorm)
        for hook in module._forward_pre_hooks.values()
    )


def is_island(module: nn.Module) -> bool:
    """Whether a module runs in a precision of its own already."""
    hooks = [*module._forward_pre_hooks.values()]
    return any(isinstance(getattr(h, '__self__', None), Island) for h in hooks)


def protect_spectral_norm(model: nn.Module) -> list[str]:
    """Have torch's spectral norms estimate the norm in float32.

    Autocast would run the power iteration in low precision, where small
    weights vanish and the estimate is rounded.

    Args:
        model (nn.Module): Its modules are changed in place.

    Returns:
        list[str]: Names of the modules that were not protected before.
    """
    found = []
    for name, module in model.named_modules():
        if is_spectral_norm(module) and float32_spectral_norm(module):
            found.append(name)
    return found


def float32_spectral_norm(module: nn.Module) -> bool:
    """Make the spectral norm in a module a float32 island.

    Returns:
        bool: Whether it was none before.
    """
    if is_island(module):
        return False
    if isinstance(module, _SpectralNorm):
        Island(torch.float32).install(module)
    else:
        _OldSpectralNorm().install(module)
    return True


def is_floating(value: Any) -> bool:
    """Whether a value is a tensor of a floating dtype."""
    return isinstance(value, Tensor) and value.is_floating_point()


def _first_floating(args: tuple, kwargs: dict) -> Tensor | None:
    """The first floating tensor among plain arguments."""
    for value in (*args, *kwargs.values()):
        if is_floating(value):
            return value
    return None
