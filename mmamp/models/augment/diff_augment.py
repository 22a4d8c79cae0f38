"""Differentiable augmentation by a policy."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from mmamp.randomness.samples import SampleRandom, uniform
from mmamp.registry import MODELS
from mmamp.utils.checks import check_names

from .augmentation import Augmentation
from .sampling import pixels_at


@MODELS.register_module()
class DiffAugment(Augmentation):
    """Augmentations that every image gets.

    Zhao, Liu, Lin, Zhu and Han, "Differentiable Augmentation for
    Data-Efficient GAN Training", NeurIPS 2020: real and generated images are
    transformed, whoever learns from them. ``'color'`` changes brightness (by
    up to 0.5), saturation (0 to 2 times) and contrast (0.5 to 1.5 times);
    ``'translation'`` moves by whole pixels, up to an eighth of the size, and
    ``'cutout'`` covers a square of half the size; both leave zeros.

    Args:
        policy (Sequence[str]): Names out of ``'color'``, ``'translation'``
            and ``'cutout'``, in their order. Defaults to all of them.

    Raises:
        ValueError: If a name is unknown, or there is none.

    Examples:
        >>> augment = dict(
        ...     type='mmamp.DiffAugment', policy=['translation', 'cutout'])
    """

    def __init__(
        self, policy: Sequence[str] = ('color', 'translation', 'cutout')
    ) -> None:
        super().__init__()
        self.policy = check_names('DiffAugment: policy', policy, _POLICIES)

    def transform(self, images: Tensor, random: SampleRandom | None) -> Tensor:
        """Transform images by the policy.

        Args:
            images (Tensor): Of shape (N, C, H, W); float32 or float64.
            random (SampleRandom or None): Where random numbers come from;
                None is torch's.
        """
        for name in self.policy:
            size, change = _POLICIES[name]
            numbers = uniform(random, (len(images), size), images.device)
            images = change(images, numbers.unbind(1))
        return images

    def extra_repr(self) -> str:
        """Show the policy in the printed model."""
        return f'policy={self.policy}'


def _color(images: Tensor, numbers: Sequence[Tensor]) -> Tensor:
    brightness, saturation, contrast = (
        x.to(images.dtype).view(-1, 1, 1, 1) for x in numbers
    )
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * (saturation * 2) + grey
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (contrast + 0.5) + mean


def _translation(images: Tensor, numbers: Sequence[Tensor]) -> Tensor:
    rows, columns = (
        positions[None] + _integers(number, -most, most + 1)[:, None]
        for number, size in zip(numbers, images.shape[2:], strict=True)
        for most in [int(size / 8 + 0.5)]
        for positions in [torch.arange(size, device=images.device)]
    )
    height, width = images.shape[2:]
    is_inside = (
        _is_within(rows, 0, height)[:, None, :, None]
        & _is_within(columns, 0, width)[:, None, None]
    )
    moved = pixels_at(
        images,
        rows.clamp(0, height - 1)[:, :, None],
        columns.clamp(0, width - 1)[:, None],
    )
    return moved.where(is_inside, 0)


def _cutout(images: Tensor, numbers: Sequence[Tensor]) -> Tensor:
    rows, columns = (
        _is_within(
            torch.arange(size, device=images.device)[None], first, first + half
        )
        for number, size in zip(numbers, images.shape[2:], strict=True)
        for half in [int(size / 2 + 0.5)]
        for first in [
            _integers(number, 0, size + 1 - half % 2)[:, None] - half // 2
        ]
    )
    return images.masked_fill(
        rows[:, None, :, None] & columns[:, None, None], 0
    )


_POLICIES: dict[
    str, tuple[int, Callable[[Tensor, Sequence[Tensor]], Tensor]]
] = dict(color=(3, _color), translation=(2, _translation), cutout=(2, _cutout))
"""How many uniform numbers each takes, and what it makes of them."""


def _integers(numbers: Tensor, low: int, high: int) -> Tensor:
    """Make whole numbers in [low, high) of uniform ones."""
    return (numbers * (high - low)).floor().long() + low


def _is_within(
    positions: Tensor, low: int | Tensor, high: int | Tensor
) -> Tensor:
    return (positions >= low) & (positions < high)
