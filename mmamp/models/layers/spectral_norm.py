"""Spectral normalisation that autocast does not touch."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.nn.utils.parametrize import register_parametrization


class Float32SpectralNorm(_SpectralNorm):
    """torch's parametrization, always in float32, at any size of weight.

    Under autocast its power iteration would run in the low precision, where
    a norm can underflow and the ``eps`` that guards the division is zero.
    """

    def forward(self, weight: Tensor) -> Tensor:
        """Divide the weight by its largest singular value."""
        # The quotient does not depend on the weight's size, but its norms
        # would underflow at a small one.
        with (
            nullcontext()
            if weight.is_meta
            else torch.autocast(weight.device.type, enabled=False)
        ):
            return super().forward(_at_one(weight))

    @torch.no_grad()
    def refresh(self, weight: Tensor) -> None:
        """Fit the vectors to a weight that was just initialised, in place."""
        matrix = self._reshape_weight_to_matrix(_at_one(weight))
        self._power_method(matrix, 15)


def _at_one(weight: Tensor) -> Tensor:
    """Scale a weight so that its largest element is one."""
    return weight / weight.detach().abs().amax().clamp(min=1e-30)


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
    norm = Float32SpectralNorm(_at_one(weight), n_power_iterations=1, eps=eps)
    register_parametrization(module, 'weight', norm)
    return module
