"""Which network of a model is exported, and how it is made plain."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, remove_spectral_norm
from torch.nn.utils.spectral_norm import SpectralNorm

from mmamp.compat.torch import forward_pre_hooks, original_of
from mmamp.errors import UsageError
from mmamp.models.base.base_gan import BaseGAN
from mmamp.models.base.standing_statistics import StandingStatistics
from mmamp.models.gans.image_translation import ImageTranslationGAN
from mmamp.utils.modules import unwrap
from mmamp.utils.suggest import did_you_mean

from .inputs import Inputs


def network_name(model: nn.Module, wanted: str | None) -> str:
    """Return the name of the network that is exported.

    Args:
        model (nn.Module): The model.
        wanted (str, optional): What the user calls it; None for the one that
            makes the results.

    Raises:
        UsageError: If the model is no GAN, or has no such network.
    """
    if not isinstance(model, BaseGAN):
        raise UsageError(
            f'{type(model).__name__} is no GAN of mmamp (a BaseGAN), whose '
            'generators are what is exported'
        )
    valid = model.networks['generator']
    if wanted is None:
        is_translation = isinstance(model, ImageTranslationGAN)
        return model.translator if is_translation else valid[0]
    if wanted not in valid:
        raise UsageError(
            f'--network {wanted}: {type(model).__name__} has '
            f'{", ".join(valid)}.{did_you_mean(wanted, valid)}'
        )
    return wanted


def network_of(
    model: BaseGAN, name: str, use_average: bool
) -> tuple[nn.Module, bool]:
    """Return a network of a model, not compiled, and if it is an average.

    Args:
        model (BaseGAN): The model.
        name (str): Of the network in it.
        use_average (bool): Whether its average is meant, if there is one.
    """
    average = getattr(model, f'{name}_ema')
    if use_average and average is not None:
        return original_of(average.module), True
    return original_of(unwrap(getattr(model, name))), False


def baked(network: nn.Module) -> nn.Module:
    """Make a network plain: weights that are tensors, for evaluation.

    Parametrizations such as spectral norm are computed once and taken off,
    as ``torch.nn.utils.spectral_norm`` is; so is what ``torch.compile`` put
    around it. What is left is in float32, contiguous and on the CPU.

    Args:
        network (nn.Module): Changed in place.

    Returns:
        nn.Module: The network, or what was compiled.

    Examples:
        >>> from mmamp.registry import MODELS
        >>> generator = dict(
        ...     type='mmamp.BigGANGenerator',
        ...     image_size=32,
        ...     num_classes=10,
        ...     base_channels=2)
        >>> network = baked(MODELS.build(generator))
        >>> [x for x in network.state_dict() if 'parametrizations' in x]
        []
    """
    plain: Any = original_of(network).eval().cpu().float()
    for module in list(plain.modules()):
        if parametrize.is_parametrized(module):
            names: Any = module.parametrizations
            for name in list(names):
                parametrize.remove_parametrizations(module, name)
        for hook in forward_pre_hooks(module):
            if isinstance(hook, StandingStatistics):
                # There is no model that it could ask.
                hook.is_left_alone = True
            if isinstance(hook, SpectralNorm):
                remove_spectral_norm(module, hook.name)
    plain.to(memory_format=torch.contiguous_format)
    found: nn.Module = plain.requires_grad_(False)
    return found


class _Graph(nn.Module):
    """Calls a network; the names of its arguments are those of the graph."""

    def __init__(self, network: nn.Module, kwargs: dict[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.kwargs = kwargs


class _OfNoise(_Graph):
    def forward(self, noise: Tensor) -> Tensor:
        images: Tensor = self.network(noise, **self.kwargs)
        return images.float()


class _OfNoiseAndLabels(_Graph):
    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.network(noise, labels, **self.kwargs)
        return images.float()


class _OfImage(_Graph):
    def forward(self, image: Tensor) -> Tensor:
        images: Tensor = self.network(image, **self.kwargs)
        return images.float()


_GRAPHS: dict[tuple[str, ...], type[_Graph]] = {
    ('noise',): _OfNoise,
    ('noise', 'labels'): _OfNoiseAndLabels,
    ('image',): _OfImage,
}


def graph_of(network: nn.Module, inputs: Inputs) -> nn.Module:
    """Return a module that calls a network with inputs by their names.

    Args:
        network (nn.Module): The network.
        inputs (Inputs): What it is called with.
    """
    return _GRAPHS[inputs.names](network, inputs.kwargs).eval()
