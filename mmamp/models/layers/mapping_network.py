"""StyleGAN2's mapping network, with classes or without."""

import torch.nn.functional as F
from torch import Tensor, cat, nn

from mmamp.utils.checks import check_int

from .equalized import EqualizedLinear, at_least_float32, leaky_relu


class MappingNetwork(nn.Module):
    """Noise ``z``, a class or both to ``w``, at a hundredth of the rate.

    A class has an embedding, which learns at the full rate, is normalised as
    the noise is, and follows it, as in StyleGAN2-ADA (Karras et al., NeurIPS
    2020).

    Args:
        noise_size (int): Length of ``z``; 0 is for classes alone.
        style_size (int): Length of ``w``, and of the embedding.
        num_layers (int): Linear layers.
        num_classes (int, optional): Defaults to None: there are no classes.
    """

    def __init__(
        self,
        noise_size: int,
        style_size: int,
        num_layers: int,
        num_classes: int | None = None,
    ) -> None:
        super().__init__()
        given = noise_size if num_classes is None else noise_size + style_size
        sizes = [given] + [style_size] * num_layers
        self.layers = nn.ModuleList(
            EqualizedLinear(sizes[i], sizes[i + 1], lr_mult=0.01)
            for i in range(num_layers)
        )
        self.num_classes = num_classes
        self.embedding = None
        if num_classes is not None:
            check_int('num_classes', num_classes)
            self.embedding = EqualizedLinear(num_classes, style_size)

    def forward(
        self, noise: Tensor | None, labels: Tensor | None = None
    ) -> Tensor:
        """Map noise (N, D) and classes (N, ) to (N, D').

        The length of the noise does not matter.
        """
        check_labels(labels, self.num_classes)
        parts = [] if noise is None else [_normalized(noise)]
        if self.embedding is not None and labels is not None:
            classes = F.one_hot(labels.long(), self.embedding.weight.shape[1])
            parts.append(_normalized(self.embedding(classes.float())))
        x = cat(parts, 1)
        for layer in self.layers:
            x = leaky_relu(layer(x))
        return x


def check_labels(labels: Tensor | None, num_classes: int | None) -> None:
    """Refuse labels that a network does not know, and their lack.

    Args:
        labels (Tensor, optional): What it is called with.
        num_classes (int, optional): What it was built with.

    Raises:
        ValueError: If only one of them is None.
    """
    if labels is None and num_classes is not None:
        raise ValueError(
            f'labels are missing: the network has num_classes={num_classes}; '
            'give the model the same num_classes'
        )
    if labels is not None and num_classes is None:
        raise ValueError(
            'labels are given, but the network was built without classes: '
            'give it the num_classes that the model has, or leave them out'
        )


def _normalized(x: Tensor) -> Tensor:
    """Give each vector a mean square of 1, in float32 or more."""
    x = at_least_float32(x)
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()
