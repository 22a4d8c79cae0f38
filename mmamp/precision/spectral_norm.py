"""torch's spectral norms, estimated in float32."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils.spectral_norm import SpectralNorm

from mmamp.compat.torch import ParametrizedSpectralNorm, forward_pre_hooks

from .islands import Island, device_of, islands


class _Float32SpectralNorm(SpectralNorm):
    """The pre-hook of ``torch.nn.utils.spectral_norm``, out of autocast."""

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        """Normalise the weight."""
        with torch.autocast(device_of(module, (), {}), enabled=False):
            super().__call__(module, inputs)


def is_spectral_norm(module: nn.Module) -> bool:
    """Tell whether torch's spectral norm, of either kind, runs in a module."""
    return isinstance(module, ParametrizedSpectralNorm) or bool(
        _old_norms(module)
    )


def _old_norms(module: nn.Module) -> list[SpectralNorm]:
    """Those of ``torch.nn.utils.spectral_norm``, which are pre-hooks."""
    hooks = forward_pre_hooks(module)
    return [hook for hook in hooks if isinstance(hook, SpectralNorm)]


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
    if isinstance(module, ParametrizedSpectralNorm):
        if any(i.dtype is torch.float32 for i in islands(module)):
            return False
        Island(torch.float32).install(module)
        return True
    unsafe = [
        norm
        for norm in _old_norms(module)
        if not isinstance(norm, _Float32SpectralNorm)
    ]
    for norm in unsafe:
        norm.__class__ = _Float32SpectralNorm
    return bool(unsafe)
