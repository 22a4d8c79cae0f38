"""Networks of SRGAN (Ledig et al., 2017)."""

from typing import Any, ClassVar

from mmcv.cnn import ConvModule, build_upsample_layer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmamp.registry import MODELS
from mmamp.utils.checks import check_int, check_power_of_2


class _ResidualBlock(nn.Module):
    """Two convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                ConvModule(
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
        init_cfg (dict or list[dict], optional): Defaults to None: mmcv's.

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
        self.first = ConvModule(
            in_channels,
            width,
            kernel_size=9,
            padding=4,
            act_cfg=dict(type='PReLU'),
        )
        self.blocks = nn.Sequential(
            *(_ResidualBlock(width) for _ in range(num_blocks)),
            ConvModule(
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
                build_upsample_layer(
                    dict(type='pixel_shuffle'),
                    in_channels=width,
                    out_channels=width,
                    scale_factor=2,
                    upsample_kernel=3,
                ),
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


@MODELS.register_module()
class SRGANDiscriminator(BaseModule):
    """Image to logit through eight convolutions and two dense layers.

    Ledig et al., CVPR 2017 (as above), figure 4. ESRGAN (Wang et al., 2018)
    takes it too; its published code has another one of the same kind, with
    4x4 kernels and 100 units.

    Args:
        image_size (int): Height and width of the image, a multiple of 16.
        in_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Channels of the first layer; they double three
            times. Defaults to 64.
        hidden_channels (int): Units of the first dense layer. Defaults to
            1024.
        init_cfg (dict or list[dict], optional): Defaults to None: mmcv's.

    Raises:
        ValueError: If ``image_size`` is no multiple of 16.

    Examples:
        >>> discriminator = dict(
        ...     type='mmamp.SRGANDiscriminator', image_size=96)
    """

    def __init__(
        self,
        image_size: int,
        in_channels: int = 3,
        base_channels: int = 64,
        hidden_channels: int = 1024,
        init_cfg: dict[str, Any] | list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_int('SRGANDiscriminator: image_size', image_size)
        if image_size % 16:
            raise ValueError(
                'SRGANDiscriminator: image_size must be a multiple of 16, '
                f'but got {image_size!r}'
            )
        leaky = dict(type='LeakyReLU', negative_slope=0.2)
        layers: list[nn.Module] = []
        before = in_channels
        for i in range(8):
            width = base_channels * 2 ** (i // 2)
            layers.append(
                ConvModule(
                    before,
                    width,
                    kernel_size=3,
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
            nn.Linear(before * (image_size // 16) ** 2, hidden_channels),
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
