"""What the transforms of ADA's ``bgc`` are: each with probability p.

Karras et al., "Training Generative Adversarial Networks with Limited Data",
NeurIPS 2020, appendix B: pixel blitting, geometry and colour, with the
deviations and ranges that the paper gives them.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from mmamp.randomness.samples import SampleRandom, normal, uniform

from .matrices import product, rotation, scaling, translation

BLITS = ('xflip', 'rotate90', 'xint')
GEOMETRY = ('scale', 'rotate', 'aniso', 'xfrac')
COLORS = ('brightness', 'contrast', 'lumaflip', 'hue', 'saturation')
TRANSFORMS = (*BLITS, *GEOMETRY, *COLORS)
"""The paper's ``bgc``, in its order."""


class Draws:
    """Random numbers of a micro-batch, as many whatever is made of them.

    Args:
        images (Tensor): Of shape (N, ...).
        random (SampleRandom or None): Where they come from; None is torch's.
        p (Tensor): Probability of each transform.
        transforms (Sequence[str]): Those that are made at all.
    """

    def __init__(
        self,
        images: Tensor,
        random: SampleRandom | None,
        p: Tensor,
        transforms: Sequence[str],
    ) -> None:
        num, device = len(images), images.device
        uniforms = uniform(random, (num, 21), device)
        self._uniform = iter(uniforms.unbind(1))
        self._normal = iter(normal(random, (num, 7), device).unbind(1))
        self.p = p
        self._transforms = transforms

    def uniform(self) -> Tensor:
        """Return uniform numbers in [0, 1), of shape (N, )."""
        return next(self._uniform)

    def normal(self) -> Tensor:
        """Return standard normal numbers, of shape (N, )."""
        return next(self._normal)

    def integers(self, high: int) -> Tensor:
        """Return uniform whole numbers from 0 to high - 1."""
        return (self.uniform() * high).floor()

    def exp2(self, std: float) -> Tensor:
        """Return log-normal numbers: standard deviation of the logarithm."""
        return torch.exp2(self.normal() * std)

    def angle(self) -> Tensor:
        """Return a uniform angle in radians."""
        return (self.uniform() * 2 - 1) * math.pi

    def gate(self, name: str, p: Tensor | None = None) -> Tensor:
        """Tell which samples a transform is made of, with probability p."""
        is_made = self.uniform() < (self.p if p is None else p)
        if name not in self._transforms:
            return torch.zeros_like(is_made)
        return is_made


def draw_blit(draws: Draws, height: int, width: int) -> Tensor:
    """Draw what copies pixels; return the inverse of the map."""
    flip = 1 - 2 * draws.integers(2).where(draws.gate('xflip'), 0)
    quarter = draws.integers(4).where(draws.gate('rotate90'), 0)
    angle = quarter * (math.pi / 2)
    is_translated = draws.gate('xint')
    x, y = (
        (
            ((draws.uniform() * 2 - 1) / 8).where(is_translated, 0) * size
        ).round()
        for size in (width, height)
    )
    return product(
        scaling(flip, torch.ones_like(flip)),
        # Exactly 0, 1 and -1.
        rotation(angle.cos().round(), angle.sin().round()),
        translation(-x, -y),
    )


def draw_geometry(
    draws: Draws, blit: Tensor, height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Draw the other changes of geometry, to be made after some.

    Returns:
        tuple[Tensor, Tensor]: The inverse of the map, and of which samples it
        is not the given one.
    """
    is_scaled = draws.gate('scale')
    scale = draws.exp2(0.2).where(is_scaled, 1)
    # Either rotation, or both, with probability p.
    p = 1 - (1 - draws.p).clamp(min=0).sqrt()
    is_turned = [draws.gate('rotate', p) for _ in range(2)]
    before, after = (draws.angle().where(x, 0) for x in is_turned)
    is_stretched = draws.gate('aniso')
    stretch = draws.exp2(0.2).where(is_stretched, 1)
    is_translated = draws.gate('xfrac')
    x, y = (
        (draws.normal() / 8).where(is_translated, 0) * size
        for size in (width, height)
    )
    inverse = product(
        blit,
        scaling(1 / scale, 1 / scale),
        rotation(before.cos(), before.sin()),
        scaling(1 / stretch, stretch),
        rotation(after.cos(), after.sin()),
        translation(-x, -y),
    )
    moved = [is_scaled, *is_turned, is_stretched, is_translated]
    return inverse, torch.stack(moved).any(0)


def draw_colors(draws: Draws) -> tuple[Tensor, ...]:
    """Draw brightness, contrast, luma, saturation and hue."""
    brightness = (draws.normal() * 0.2).where(draws.gate('brightness'), 0)
    contrast = draws.exp2(0.5).where(draws.gate('contrast'), 1)
    luma = 1 - 2 * draws.integers(2).where(draws.gate('lumaflip'), 0)
    hue = draws.angle().where(draws.gate('hue'), 0)
    saturation = draws.exp2(1.0).where(draws.gate('saturation'), 1)
    return brightness, contrast, luma, saturation, hue
