"""The generator of ESRGAN (Wang et al., 2018)."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmamp.models.layers.convolution import Convolution
from mmamp.registry import MODELS
from mmamp.utils.checks import check_int, check_power_of_2

_RESIDUAL_SCALE = 0.2
_INIT_SCALE = 0.1


class _Conv(Convolution):
    """A convolution of 3x3, maybe with an activation."""

    def __init__(self, before: int, after: int, acts: bool = True) -> None:
        super().__init__(
            before,
            after,
            kernel_size=3,
            padding=1,
            act_cfg=(
                dict(type='LeakyReLU', negative_slope=0.2) if acts else None
            ),
        )


class _DenseConv(_Conv):
    """One of a dense block, which begins smaller."""

    @torch.no_grad()
    def init_weights(self) -> None:
        """Initialise it ("smaller initialization", the paper's 3.1)."""
        nn.init.kaiming_normal_(self.conv.weight)
        self.conv.weight.mul_(_INIT_SCALE)
        nn.init.zeros_(self.conv.bias)


class _DenseBlock(nn.Module):
    """Five convolutions, each of which sees all that was before it."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        layers = [_DenseConv(channels + i * growth, growth) for i in range(4)]
        layers.append(_DenseConv(channels + 4 * growth, channels, acts=False))
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.layers:
            maps.append(layer(torch.cat(maps, 1)))
        return x + _RESIDUAL_SCALE * maps[-1]


class _RRDB(nn.Module):
    """Residual in residual: dense blocks beside an identity."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *(_DenseBlock(channels, growth) for _ in range(3))
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + _RESIDUAL_SCALE * self.blocks(x)
        return x


@MODELS.register_module()
class RRDBNet(BaseModule):
    """Low-resolution image to a larger one, without any norm layer.

    Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial
    Networks", ECCV Workshops 2018, section 3.1: residual-in-residual dense
    blocks, residual scaling by 0.2, and weights of the dense blocks that
    begin ten times smaller.

    Args:
        in_channels (int): Channels of the image. Defaults to 3.
        out_channels (int): Channels of the result. Defaults to 3.
        base_channels (int): Channels in between. Defaults to 64.
        num_blocks (int): Residual-in-residual dense blocks. Defaults to 23.
        growth_channels (int): Channels that each layer of a dense block adds.
            Defaults to 32.
        scale (int): How many times larger the result is, a power of 2.
            Defaults to 4.
        init_cfg (dict or list[dict], optional): Defaults to None: as in the
            authors' code, torch's, with those smaller weights.

    Attributes:
        size_multiple (int): What the sides of images are multiples of.

    Raises:
        ValueError: If ``num_blocks`` is < 1 or ``scale`` no power of 2.

    Examples:
        >>> generator = dict(type='mmamp.RRDBNet', scale=4)
    """

    size_multiple: ClassVar[int] = 1

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 64,
        num_blocks: int = 23,
        growth_channels: int = 32,
        scale: int = 4,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_int('RRDBNet: num_blocks', num_blocks)
        width = base_channels
        doublings = check_power_of_2('RRDBNet: scale', scale, low=2)
        self.first = _Conv(in_channels, width, acts=False)
        self.blocks = nn.Sequential(
            *(_RRDB(width, growth_channels) for _ in range(num_blocks)),
            _Conv(width, width, acts=False),
        )
        self.upsample = nn.ModuleList(
            _Conv(width, width) for _ in range(doublings)
        )
        self.last = nn.Sequential(
            _Conv(width, width), _Conv(width, out_channels, acts=False)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Enlarge images.

        Args:
            images (Tensor): Of shape (N, C, H, W), in [-1, 1].

        Returns:
            Tensor: Near [-1, 1], of shape (N, C, scale * H, scale * W).
        """
        x = self.first(images)
        x = x + self.blocks(x)
        for conv in self.upsample:
            x = conv(F.interpolate(x, scale_factor=2.0, mode='nearest'))
        images = self.last(x)
        return images
