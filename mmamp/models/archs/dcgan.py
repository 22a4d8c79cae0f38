"""DCGAN (Radford, Metz and Chintala, 2016)."""

from itertools import pairwise
from typing import Any

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmamp.models.layers.normal_init import NORMAL_INIT
from mmamp.models.layers.sizes import num_doublings
from mmamp.registry import MODELS


@MODELS.register_module()
class DCGANGenerator(BaseModule):
    """Noise to image through strided transposed convolutions.

    Args:
        image_size (int): Height and width of the image, a power of 2.
        out_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Channels before the last layer; they double with
            each layer towards the noise. Defaults to 64.
        noise_size (int): Length of the latent vector. Defaults to 100.
        bias (bool): Whether the last layer has a bias. Defaults to False.
        init_cfg (list[dict], optional): Defaults to None: as in the paper,
            normal with standard deviation 0.02.

    Raises:
        ValueError: If ``image_size`` is no power of 2 from 8 on.

    Examples:
        >>> generator = dict(type='mmamp.DCGANGenerator', image_size=64)
    """

    def __init__(
        self,
        image_size: int,
        out_channels: int = 3,
        base_channels: int = 64,
        noise_size: int = 100,
        bias: bool = False,
        init_cfg: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg or NORMAL_INIT)
        blocks = num_doublings(image_size)
        widths = [base_channels * 2**i for i in reversed(range(blocks))]
        layers: list[nn.Module] = [
            ConvModule(
                noise_size,
                widths[0],
                kernel_size=4,
                bias=False,
                conv_cfg=dict(type='deconv'),
                norm_cfg=dict(type='BN'),
            )
        ]
        for narrow_in, narrow_out in pairwise(widths):
            layers.append(
                ConvModule(
                    narrow_in,
                    narrow_out,
                    kernel_size=4,
                    stride=2,
                    padding=1,
                    bias=False,
                    conv_cfg=dict(type='deconv'),
                    norm_cfg=dict(type='BN'),
                )
            )
        layers.append(
            ConvModule(
                widths[-1],
                out_channels,
                kernel_size=4,
                stride=2,
                padding=1,
                bias=bias,
                conv_cfg=dict(type='deconv'),
                act_cfg=dict(type='Tanh'),
            )
        )
        self.layers = nn.Sequential(*layers)

    def forward(self, noise: Tensor) -> Tensor:
        """Generate images from noise.

        Args:
            noise (Tensor): Standard normal, of shape (N, noise_size).

        Returns:
            Tensor: In [-1, 1], of shape (N, C, H, W).
        """
        images: Tensor = self.layers(noise[:, :, None, None])
        return images


@MODELS.register_module()
class DCGANDiscriminator(BaseModule):
    """Image to logit through strided convolutions.

    Args:
        image_size (int): Height and width of the image, a power of 2.
        in_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Channels after the first layer; they double with
            each layer. Defaults to 64.
        bias (bool): Whether layers without a norm, the first and the last,
            have a bias. Defaults to False.
        negative_slope (float): Of the leaky ReLU. Defaults to 0.2.
        init_cfg (list[dict], optional): Defaults to None: as in the paper.

    Raises:
        ValueError: If ``image_size`` is no power of 2 from 8 on.

    Examples:
        >>> discriminator = dict(
        ...     type='mmamp.DCGANDiscriminator', image_size=64)
    """

    def __init__(
        self,
        image_size: int,
        in_channels: int = 3,
        base_channels: int = 64,
        bias: bool = False,
        negative_slope: float = 0.2,
        init_cfg: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg or NORMAL_INIT)
        blocks = num_doublings(image_size)
        widths = [in_channels] + [base_channels * 2**i for i in range(blocks)]
        layers: list[nn.Module] = [
            ConvModule(
                widths[i],
                widths[i + 1],
                kernel_size=4,
                stride=2,
                padding=1,
                bias=bias and i == 0,
                # The first layer has no norm (paper, section 3).
                norm_cfg=dict(type='BN') if i else None,
                act_cfg=dict(type='LeakyReLU', negative_slope=negative_slope),
            )
            for i in range(blocks)
        ]
        layers.append(nn.Conv2d(widths[-1], 1, kernel_size=4, bias=bias))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Tell how real images are.

        Args:
            images (Tensor): Of shape (N, C, H, W), in [-1, 1].

        Returns:
            Tensor: Logits, of shape (N, 1).
        """
        # One value a channel; not a view, which FSDP2 warns of.
        logits: Tensor = self.layers(images).sum((2, 3))
        return logits
