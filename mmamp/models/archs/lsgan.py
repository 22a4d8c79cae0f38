"""LSGAN (Mao et al., 2017)."""

from functools import partial
from typing import Any

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmamp.models.base.memory_format import as_kernels
from mmamp.models.layers.normal_init import NORMAL_INIT
from mmamp.registry import MODELS


def _check_size(image_size: int) -> None:
    if image_size < 16 or image_size % 16:
        raise ValueError(
            f'image_size must be a multiple of 16, but got {image_size!r}'
        )


def _deconv(
    in_channels: int, out_channels: int, stride: int, size: int
) -> ConvModule:
    """Build a transposed convolution that enlarges images by its stride."""
    layer = ConvModule(
        in_channels,
        out_channels,
        kernel_size=size,
        stride=stride,
        padding=size // 2,
        bias=False,
        conv_cfg=dict(type='deconv', output_padding=stride - 1),
        norm_cfg=dict(type='BN'),
    )
    return layer


@MODELS.register_module()
class LSGANGenerator(BaseModule):
    """Noise to image, with convolutions that keep the size between others.

    Mao, Li, Xie, Lau, Wang and Smolley, "Least Squares Generative Adversarial
    Networks", ICCV 2017, figure 1a.

    Args:
        image_size (int): Height and width of the image, a multiple of 16; 112
            in the paper.
        out_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Channels before the last layer; there are up to
            four times as many. Defaults to 64.
        noise_size (int): Length of the latent vector. Defaults to 1024.
        kernel_size (int): Of the transposed convolutions, 3 or 5. Defaults to
            5.
        init_cfg (list[dict], optional): Defaults to None: normal with
            standard deviation 0.02.

    Raises:
        ValueError: If ``image_size`` is no multiple of 16, or
            ``kernel_size`` another.

    Examples:
        >>> generator = dict(type='mmamp.LSGANGenerator', image_size=112)
    """

    def __init__(
        self,
        image_size: int,
        out_channels: int = 3,
        base_channels: int = 64,
        noise_size: int = 1024,
        kernel_size: int = 5,
        init_cfg: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg or NORMAL_INIT)
        _check_size(image_size)
        if kernel_size not in (3, 5):
            raise ValueError(
                f'kernel_size must be 3 or 5, but got {kernel_size!r}'
            )
        deconv = partial(_deconv, size=kernel_size)
        self.size = image_size // 16
        self.width = 4 * base_channels
        self.linear = nn.Linear(noise_size, self.width * self.size**2)
        self.norm = nn.Sequential(nn.BatchNorm2d(self.width), nn.ReLU())
        self.layers = nn.Sequential(
            deconv(self.width, self.width, stride=2),
            deconv(self.width, self.width, stride=1),
            deconv(self.width, self.width, stride=2),
            deconv(self.width, self.width, stride=1),
            deconv(self.width, 2 * base_channels, stride=2),
            deconv(2 * base_channels, base_channels, stride=2),
            nn.ConvTranspose2d(
                base_channels,
                out_channels,
                kernel_size,
                padding=kernel_size // 2,
            ),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Generate images from noise.

        Args:
            noise (Tensor): Standard normal, of shape (N, noise_size).

        Returns:
            Tensor: In [-1, 1], of shape (N, C, H, W).
        """
        x = self.linear(noise).view(-1, self.width, self.size, self.size)
        x = self.norm(as_kernels(x, self.layers))
        images: Tensor = self.layers(x)
        return images


@MODELS.register_module()
class LSGANDiscriminator(BaseModule):
    """Image to a number, which least squares draw to its target (figure 1b).

    Args:
        image_size (int): Height and width of the image, a multiple of 16.
        in_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Channels after the first layer; they double with
            each layer. Defaults to 64.
        init_cfg (list[dict], optional): Defaults to None: as above.

    Raises:
        ValueError: If ``image_size`` is no multiple of 16.

    Examples:
        >>> discriminator = dict(
        ...     type='mmamp.LSGANDiscriminator', image_size=112)
    """

    def __init__(
        self,
        image_size: int,
        in_channels: int = 3,
        base_channels: int = 64,
        init_cfg: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg or NORMAL_INIT)
        _check_size(image_size)
        widths = [in_channels, *(base_channels * 2**i for i in range(4))]
        self.layers = nn.Sequential(
            *(
                ConvModule(
                    widths[i],
                    widths[i + 1],
                    kernel_size=5,
                    stride=2,
                    padding=2,
                    bias=i == 0,
                    norm_cfg=dict(type='BN') if i else None,
                    act_cfg=dict(type='LeakyReLU', negative_slope=0.2),
                )
                for i in range(4)
            )
        )
        self.linear = nn.Linear(widths[-1] * (image_size // 16) ** 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Tell how real images are.

        Args:
            images (Tensor): Of shape (N, C, H, W), in [-1, 1].

        Returns:
            Tensor: Predictions, of shape (N, 1).
        """
        logits: Tensor = self.linear(self.layers(images).flatten(1))
        return logits
