"""Networks of SRGAN (Ledig et al., 2017)."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmcv.cnn import build_upsample_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmamp.models.layers.convolution import Convolution
from mmamp.registry import MODELS
from mmamp.utils.checks import check_int, check_power_of_2


class _ResidualBlock(nn.Module):
    """Two convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                Convolution(
                    channels,
                    channels,
                    kernel_size=3,
                    padding=1,
                    norm_cfg=dict(type='BN'),
                    act_cfg=act_cfg,
                )
                for act_cfg in (dict(type='PReLU'), None)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.layers(x)
        return x


def _twice(channels: int) -> nn.Module:
    """Return what doubles height and width, by pixels out of channels."""
    layer: Any = build_upsample_layer(
        dict(type='pixel_shuffle'),
        in_channels=channels,
        out_channels=channels,
        scale_factor=2,
        upsample_kernel=3,
    )
    layer.upsample_conv.reset_parameters()
    found: nn.Module = layer
    return found


@MODELS.register_module()
class SRResNet(BaseModule):
    """Low-resolution image to a larger one; the generator of SRGAN.

    Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a
    Generative Adversarial Network", CVPR 2017, section 2.1.1 and figure 4.

    Args:
        in_channels (int): Channels of the image. Defaults to 3.
        out_channels (int): Channels of the result. Defaults to 3.
        base_channels (int): Channels in between. Defaults to 64.
        num_blocks (int): Residual blocks. Defaults to 16.
        scale (int): How many times larger the result is, a power of 2.
            Defaults to 4.
        init_cfg (dict or list[dict], optional): Defaults to None:
            torch's.

    Attributes:
        size_multiple (int): What the sides of images are multiples of.

    Raises:
        ValueError: If ``num_blocks`` is < 1 or ``scale`` no power of 2.

    Examples:
        >>> generator = dict(type='mmamp.SRResNet', scale=4)
    """

    size_multiple: ClassVar[int] = 1

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 64,
        num_blocks: int = 16,
        scale: int = 4,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_int('SRResNet: num_blocks', num_blocks)
        width = base_channels
        self.first = Convolution(
            in_channels,
            width,
            kernel_size=9,
            padding=4,
            act_cfg=dict(type='PReLU'),
        )
        self.blocks = nn.Sequential(
            *(_ResidualBlock(width) for _ in range(num_blocks)),
            Convolution(
                width,
                width,
                kernel_size=3,
                padding=1,
                norm_cfg=dict(type='BN'),
                act_cfg=None,
            ),
        )
        doubling: list[nn.Module] = []
        for _ in range(check_power_of_2('SRResNet: scale', scale, low=2)):
            doubling += [
                _twice(width),
                nn.PReLU(),
            ]
        self.upsample = nn.Sequential(*doubling)
        self.last = nn.Conv2d(width, out_channels, kernel_size=9, padding=4)

    def forward(self, images: Tensor) -> Tensor:
        """Enlarge images.

        Args:
            images (Tensor): Of shape (N, C, H, W), in [-1, 1].

        Returns:
            Tensor: Near [-1, 1], of shape (N, C, scale * H, scale * W).
        """
        x = self.first(images)
        images = self.last(self.upsample(x + self.blocks(x)))
        return images


class _PlainBlock(nn.Module):
    """Two convolutions beside an identity, without norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.layers[0](x).relu()
        x = x + self.layers[1](h)
        return x


@MODELS.register_module()
class MSRResNet(BaseModule):
    """Low-resolution image to a larger one, beside its bilinear enlargement.

    The SRGAN generator of BasicSR and MMagic: a smaller
    :class:`SRResNet`, with the residual blocks of Lim et al., "Enhanced Deep
    Residual Networks for Single Image Super-Resolution", CVPR Workshops 2017,
    which have no BatchNorm. Published weights are of images in [0, 1]:
    ``data_preprocessor=dict(mean=0., std=255.)``.

    Args:
        in_channels (int): Channels of the image. Defaults to 3.
        out_channels (int): Channels of the result; those of the image too.
            Defaults to 3.
        base_channels (int): Channels in between. Defaults to 64.
        num_blocks (int): Residual blocks. Defaults to 16.
        scale (int): How many times larger the result is: 2, 3 or 4. Defaults
            to 4.
        upsample_act (bool): Whether an activation follows each enlargement,
            as in BasicSR and not in MMagic. Defaults to True.
        init_cfg (dict or list[dict], optional): Defaults to None: normal
            weights of a tenth of He's deviation, as in BasicSR.

    Raises:
        ValueError: If ``num_blocks`` is < 1 or ``scale`` is another.

    Examples:
        >>> generator = dict(type='mmamp.MSRResNet', scale=4)
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 64,
        num_blocks: int = 16,
        scale: int = 4,
        upsample_act: bool = True,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_int('MSRResNet: num_blocks', num_blocks)
        if scale not in (2, 3, 4):
            raise ValueError(
                f'MSRResNet: scale must be 2, 3 or 4, but got {scale!r}'
            )
        width = base_channels
        self.scale, self.upsample_act = scale, upsample_act
        self.step = 3 if scale == 3 else 2
        self.first = nn.Conv2d(in_channels, width, 3, padding=1)
        self.blocks = nn.Sequential(
            *(_PlainBlock(width) for _ in range(num_blocks))
        )
        self.upsample = nn.ModuleList(
            nn.Conv2d(width, width * self.step**2, 3, padding=1)
            for _ in range(2 if scale == 4 else 1)
        )
        self.hr = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, out_channels, 3, padding=1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight)
                with torch.no_grad():
                    layer.weight.mul_(0.1)
                    layer.bias.zero_()  # type: ignore[union-attr]

    def forward(self, images: Tensor) -> Tensor:
        """Enlarge images.

        Args:
            images (Tensor): Of shape (N, C, H, W).

        Returns:
            Tensor: Of shape (N, C, scale * H, scale * W).
        """
        x = self.blocks(_leaky(self.first(images)))
        for conv in self.upsample:
            x = F.pixel_shuffle(conv(x), self.step)
            x = _leaky(x) if self.upsample_act else x
        x = self.last(_leaky(self.hr(x)))
        base = F.interpolate(images, scale_factor=self.scale, mode='bilinear')
        result: Tensor = x + base
        return result


def _leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.1)


@MODELS.register_module()
class SRGANDiscriminator(BaseModule):
    """Image to logit through stages of two convolutions and dense layers.

    Ledig et al., CVPR 2017 (as above), figure 4. ESRGAN (Wang et al., 2018)
    takes it too; the published code of both has another one of the same kind,
    with five stages for 128x128, 4x4 kernels and 100 units.

    Args:
        image_size (int): Height and width of the image, a multiple of
            ``2 ** num_stages``.
        in_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Channels of the first stage; they double with
            each up to 8 times that. Defaults to 64.
        hidden_channels (int): Units of the first dense layer. Defaults to
            1024.
        num_stages (int): Stages, each of which halves the image. Defaults to
            4.
        down_kernel (int): Kernel of the convolutions that halve: 3 or 4.
            Defaults to 3.
        init_cfg (dict or list[dict], optional): Defaults to None:
            torch's.

    Raises:
        ValueError: If ``image_size`` is no such multiple, or another value is
            out of its range.

    Examples:
        >>> discriminator = dict(
        ...     type='mmamp.SRGANDiscriminator', image_size=96)
        >>> published = dict(
        ...     type='mmamp.SRGANDiscriminator',
        ...     image_size=128,
        ...     hidden_channels=100,
        ...     num_stages=5,
        ...     down_kernel=4)
    """

    def __init__(
        self,
        image_size: int,
        in_channels: int = 3,
        base_channels: int = 64,
        hidden_channels: int = 1024,
        num_stages: int = 4,
        down_kernel: int = 3,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_int('SRGANDiscriminator: image_size', image_size)
        check_int('SRGANDiscriminator: num_stages', num_stages)
        if down_kernel not in (3, 4):
            raise ValueError(
                'SRGANDiscriminator: down_kernel must be 3 or 4, but got '
                f'{down_kernel!r}'
            )
        multiple = 2**num_stages
        if image_size % multiple:
            raise ValueError(
                'SRGANDiscriminator: image_size must be a multiple of '
                f'{multiple}, but got {image_size!r}'
            )
        leaky = dict(type='LeakyReLU', negative_slope=0.2)
        layers: list[nn.Module] = []
        before = in_channels
        for i in range(2 * num_stages):
            width = base_channels * min(2 ** (i // 2), 8)
            layers.append(
                Convolution(
                    before,
                    width,
                    kernel_size=down_kernel if i % 2 else 3,
                    stride=1 + i % 2,
                    padding=1,
                    # The first layer has no norm.
                    norm_cfg=dict(type='BN') if i else None,
                    act_cfg=leaky,
                )
            )
            before = width
        self.layers = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(before * (image_size // multiple) ** 2, hidden_channels),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(hidden_channels, 1),
        )
        self.image_size = image_size

    def forward(self, images: Tensor) -> Tensor:
        """Tell how real images are.

        Args:
            images (Tensor): Of shape (N, C, image_size, image_size), in
                [-1, 1].

        Returns:
            Tensor: Logits, of shape (N, 1).

        Raises:
            ValueError: If the images are of another size.
        """
        size = self.image_size
        if images.shape[2:] != (size, size):
            raise ValueError(
                f'SRGANDiscriminator with image_size={size} got images of '
                f'{images.shape[2]}x{images.shape[3]}'
            )
        logits: Tensor = self.head(self.layers(images))
        return logits
