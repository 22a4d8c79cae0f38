"""torch's spectral norms, estimated in float32."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils.spectral_norm import SpectralNorm

from mmamp.compat.torch import ParametrizedSpectralNorm, forward_pre_hooks

from .islands import Island, islands


def is_spectral_norm(module: nn.Module) -> bool:
    """Tell whether torch's spectral norm, of either kind, runs in a module."""
    return bool(_estimates(module))


def _estimates(module: nn.Module) -> list[tuple[Any, str]]:
    """Return what estimates a norm there, and by which method."""
    if isinstance(module, ParametrizedSpectralNorm):
        return [(module, 'forward')]
    # Those of `torch.nn.utils.spectral_norm` are pre-hooks.
    return [
        (hook, 'compute_weight')
        for hook in forward_pre_hooks(module)
        if isinstance(hook, SpectralNorm)
    ]


def protect_spectral_norm(model: nn.Module) -> list[str]:
    """Have torch's spectral norms estimate the norm in float32.

    Autocast would run the power iteration in low precision, where small
    weights vanish and the estimate is rounded.

    Args:
        model (nn.Module): Its modules are changed in place.

    Returns:
        list[str]: Names of the modules that were not protected before.
    """
    return [
        name
        for name, module in model.named_modules()
        if float32_spectral_norm(module)
    ]


def float32_spectral_norm(module: nn.Module) -> bool:
    """Make a float32 island of what estimates a norm in a module, if any.

    Returns:
        bool: Whether there was one that was no such island before.
    """
    unsafe = [
        (owner, method)
        for owner, method in _estimates(module)
        if not any(x.dtype is torch.float32 for x in islands(owner, method))
    ]
    for owner, method in unsafe:
        Island(torch.float32).install(owner, method)
    return bool(unsafe)
