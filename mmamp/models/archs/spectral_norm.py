"""Spectral normalisation that autocast does not touch."""

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import register_parametrization


class _Float32SpectralNorm(_SpectralNorm):
    """torch's parametrization, always in float32.

    Under autocast its power iteration would run in the low precision, where
    a norm can underflow and the ``eps`` that guards the division is zero.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """The weight over its largest singular value."""
        with torch.autocast(weight.device.type, enabled=False):
            return super().forward(weight)


def spectral_norm(module: nn.Module, eps: float = 1e-6) -> nn.Module:
    """Divide a layer's weight by its largest singular value.

    Miyato et al., "Spectral Normalization for Generative Adversarial
    Networks", 2018: one power iteration in each training forward.

    Args:
        module (nn.Module): A convolution, linear or embedding layer.
        eps (float): Guards divisions by a norm. Defaults to 1e-6.

    Returns:
        nn.Module: The same layer.
    """
    weight = module.get_parameter('weight')
    norm = _Float32SpectralNorm(weight, n_power_iterations=1, eps=eps)
    register_parametrization(module, 'weight', norm)
    return module
