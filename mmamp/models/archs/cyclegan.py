"""The generator of CycleGAN (Zhu et al., 2017)."""

from typing import Any, ClassVar

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmamp.models.layers.normal_init import NORMAL_INIT
from mmamp.registry import MODELS
from mmamp.utils.checks import check_int

from .pix2pix import conv_module


class _ResidualBlock(nn.Module):
    """Two convolutions with reflected borders, beside an identity."""

    def __init__(self, channels: int, norm_cfg: dict[str, Any]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                conv_module(
                    channels,
                    channels,
                    kernel_size=3,
                    padding=1,
                    padding_mode='reflect',
                    norm_cfg=norm_cfg,
                    act_cfg=act_cfg,
                )
                for act_cfg in (dict(type='ReLU'), None)
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.layers(x)
        return x


@MODELS.register_module()
class ResNetGenerator(BaseModule):
    """Image to image: halved twice, residual blocks, doubled twice.

    Zhu, Park, Isola and Efros, "Unpaired Image-to-Image Translation using
    Cycle-Consistent Adversarial Networks", ICCV 2017, section 4 and appendix
    7.2; after Johnson, Alahi and Fei-Fei, "Perceptual Losses for Real-Time
    Style Transfer and Super-Resolution", ECCV 2016.

    Args:
        in_channels (int): Channels of the source image. Defaults to 3.
        out_channels (int): Channels of the result. Defaults to 3.
        base_channels (int): Channels of the first layer; the residual blocks
            have 4 times that. Defaults to 64.
        num_blocks (int): Residual blocks. Defaults to 9, the paper's for
            256x256; it takes 6 for 128x128.
        norm_cfg (dict, optional): Norm layer. Defaults to None:
            ``dict(type='IN')``.
        init_cfg (list[dict], optional): Defaults to None: as in the paper,
            normal with standard deviation 0.02.

    Attributes:
        size_multiple (int): What the sides of images are multiples of.

    Raises:
        ValueError: If ``num_blocks`` is negative.

    Examples:
        >>> generator = dict(type='mmamp.ResNetGenerator', num_blocks=9)
    """

    size_multiple: ClassVar[int] = 4

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 64,
        num_blocks: int = 9,
        norm_cfg: dict[str, Any] | None = None,
        init_cfg: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg or NORMAL_INIT)
        check_int('ResNetGenerator: num_blocks', num_blocks, low=0)
        norm_cfg = norm_cfg or dict(type='IN')
        widths = [base_channels * 2**i for i in range(3)]
        wide: dict[str, Any] = dict(
            kernel_size=7, padding=3, padding_mode='reflect'
        )
        halve: dict[str, Any] = dict(kernel_size=3, stride=2, padding=1)
        double = dict(halve, conv_cfg=dict(type='deconv', output_padding=1))
        self.layers = nn.Sequential(
            conv_module(in_channels, widths[0], norm_cfg=norm_cfg, **wide),
            conv_module(widths[0], widths[1], norm_cfg=norm_cfg, **halve),
            conv_module(widths[1], widths[2], norm_cfg=norm_cfg, **halve),
            *(_ResidualBlock(widths[2], norm_cfg) for _ in range(num_blocks)),
            conv_module(widths[2], widths[1], norm_cfg=norm_cfg, **double),
            conv_module(widths[1], widths[0], norm_cfg=norm_cfg, **double),
            conv_module(
                widths[0], out_channels, act_cfg=dict(type='Tanh'), **wide
            ),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Make an image of each source image.

        Args:
            images (Tensor): Of shape (N, C, H, W), in [-1, 1]; H and W are
                multiples of 4.

        Returns:
            Tensor: In [-1, 1], of shape (N, C, H, W).

        Raises:
            ValueError: If they are not.
        """
        height, width = images.shape[2:]
        if height % self.size_multiple or width % self.size_multiple:
            raise ValueError(
                'ResNetGenerator needs images whose sides are multiples of '
                f'4, but got {height}x{width}: resize or crop them'
            )
        results: Tensor = self.layers(images)
        return results
