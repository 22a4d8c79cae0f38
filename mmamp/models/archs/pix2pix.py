"""Networks of pix2pix (Isola et al., 2017)."""

import warnings
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmamp.models.layers.normal_init import NORMAL_INIT
from mmamp.randomness.contents import ContentRandom
from mmamp.registry import MODELS
from mmamp.utils.checks import check_bool, check_int

"""Of pix2pix (appendix 6.2 there) and of CycleGAN (appendix 7.1 there)."""

_LEAKY = dict(type='LeakyReLU', negative_slope=0.2)


def has_affine(norm_cfg: dict[str, Any]) -> bool:
    """Tell whether a norm layer has a bias of its own.

    Args:
        norm_cfg (dict): As mmcv's ``ConvModule`` takes it.
    """
    # Of torch's norm layers only instance norm has none unless asked.
    affine: bool = norm_cfg.get(
        'affine', not norm_cfg['type'].startswith('IN')
    )
    return affine


def conv_module(
    in_channels: int,
    out_channels: int,
    norm_cfg: dict[str, Any] | None = None,
    bias: bool | None = None,
    **kwargs: Any,
) -> ConvModule:
    """Build mmcv's ``ConvModule``, with a bias where the authors have one.

    Args:
        in_channels (int): Channels that come in.
        out_channels (int): Channels that go out.
        norm_cfg (dict, optional): Norm layer. Defaults to None: none.
        bias (bool, optional): Whether there is a bias. Defaults to None: if
            no norm layer with a bias of its own follows.
        **kwargs: Other arguments of ``ConvModule``.
    """
    if bias is None:
        bias = norm_cfg is None or not has_affine(norm_cfg)
    with warnings.catch_warnings():
        # Instance norm subtracts the bias again; published networks, and so
        # their weights, have it.
        warnings.filterwarnings('ignore', 'Unnecessary conv bias')
        return ConvModule(
            in_channels, out_channels, bias=bias, norm_cfg=norm_cfg, **kwargs
        )


@MODELS.register_module()
class UNetGenerator(BaseModule):
    """Image to image through an encoder and a decoder that sees its maps.

    Isola, Zhu, Zhou and Efros, "Image-to-Image Translation with Conditional
    Adversarial Networks", CVPR 2017, section 3.2.1 and appendix 6.1.1. There
    is no noise input: the paper's noise is dropout, in the three innermost
    layers of the decoder as far as they have the full width.

    Args:
        in_channels (int): Channels of the source image. Defaults to 3.
        out_channels (int): Channels of the result. Defaults to 3.
        base_channels (int): Channels after the first layer; they double with
            each layer up to 8 times that. Defaults to 64.
        num_downs (int): How many times the encoder halves the image. Defaults
            to 8, which takes 256x256 to one pixel; 5 is for 32x32.
        norm_cfg (dict, optional): Norm layer. Defaults to None:
            ``dict(type='BN')``. The paper normalises with the statistics of
            the batch in testing too: at its batch size of 1 that is
            ``dict(type='IN', affine=True)``.
        dropout (float): Probability. Defaults to 0.5.
        test_dropout (bool): Whether there is dropout in evaluation mode too,
            as the paper has it (section 3.1). What it drops is a function of
            the source image: an image has one result, whatever the batch,
            the order, the number of ranks and the seed. Defaults to False.
        init_cfg (list[dict], optional): Defaults to None: as in the paper,
            normal with standard deviation 0.02.

    Raises:
        ValueError: If ``num_downs`` is < 2, or so few that ``test_dropout``
            has nothing to drop.

    Examples:
        >>> generator = dict(type='mmamp.UNetGenerator', num_downs=8)
    """

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 3,
        base_channels: int = 64,
        num_downs: int = 8,
        norm_cfg: dict[str, Any] | None = None,
        dropout: float = 0.5,
        test_dropout: bool = False,
        init_cfg: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg or NORMAL_INIT)
        check_int('UNetGenerator: num_downs', num_downs, low=2)
        norm_cfg = norm_cfg or dict(type='BN')
        widths = [base_channels * min(2**i, 8) for i in range(num_downs)]
        self.downs = nn.ModuleList(
            conv_module(
                widths[i - 1] if i else in_channels,
                width,
                kernel_size=4,
                stride=2,
                padding=1,
                # Neither the first layer nor the innermost has a norm; in
                # the latter it would leave nothing of a single pixel.
                norm_cfg=norm_cfg if 0 < i < num_downs - 1 else None,
                bias=not has_affine(norm_cfg),
                act_cfg=dict(_LEAKY, inplace=False) if i else None,
                order=('act', 'conv', 'norm'),
            )
            for i, width in enumerate(widths)
        )
        self.ups = nn.ModuleList()
        for i in reversed(range(num_downs)):
            up = conv_module(
                # All but the innermost have the encoder's map beside theirs.
                widths[i] * (1 if i == num_downs - 1 else 2),
                widths[i - 1] if i else out_channels,
                kernel_size=4,
                stride=2,
                padding=1,
                conv_cfg=dict(type='deconv'),
                norm_cfg=norm_cfg if i else None,
                act_cfg=dict(type='ReLU', inplace=False),
                order=('act', 'conv', 'norm'),
            )
            drops = i > num_downs - 4 and i > 3
            self.ups.append(
                nn.Sequential(up, nn.Dropout(dropout)) if drops else up
            )
        self.test_dropout = check_bool('test_dropout', test_dropout)
        if test_dropout and not isinstance(self.ups[0], nn.Sequential):
            raise ValueError(
                'UNetGenerator: test_dropout=True, but there is dropout from '
                f'num_downs=5 on, and it is {num_downs}: leave it out'
            )

    def forward(self, images: Tensor) -> Tensor:
        """Make an image of each source image.

        Args:
            images (Tensor): Of shape (N, C, H, W), in [-1, 1]; H and W are
                multiples of ``2 ** num_downs``.

        Returns:
            Tensor: In [-1, 1], of shape (N, C, H, W).

        Raises:
            ValueError: If they are not.
        """
        multiple = 2 ** len(self.downs)
        height, width = images.shape[2:]
        if height % multiple or width % multiple:
            raise ValueError(
                f'UNetGenerator with num_downs={len(self.downs)} needs images '
                f'whose sides are multiples of {multiple}, but got '
                f'{height}x{width}: resize them, or give another num_downs'
            )
        drops = self.test_dropout and not self.training
        random = ContentRandom(images) if drops else None
        maps = []
        x = images
        for down in self.downs:
            x = down(x)
            maps.append(x)
        x = _up(self.ups[0], maps.pop(), random)
        for up in self.ups[1:]:
            x = _up(up, torch.cat([maps.pop(), x], 1), random)
        images = x.tanh()
        return images


def _up(layer: nn.Module, x: Tensor, random: ContentRandom | None) -> Tensor:
    """Run a layer of the decoder, and its dropout in evaluation if asked."""
    x = layer(x)
    if random is None or not isinstance(layer, nn.Sequential):
        return x
    dropout: Any = layer[1]
    keeps = random.uniform(*x.shape[1:]) >= dropout.p
    return torch.where(keeps, x / (1 - dropout.p), 0)


@MODELS.register_module()
class PatchDiscriminator(BaseModule):
    """A logit for each patch of an image; with three halvings of 70x70.

    Isola et al., CVPR 2017 (as above), section 3.2.2 and appendix 6.1.2. For
    pix2pix it takes source and result, one behind the other; for CycleGAN an
    image alone, with instance norm.

    Args:
        in_channels (int): Channels of all that it sees. Defaults to 6: two
            colour images.
        base_channels (int): Channels after the first layer; they double with
            each layer up to 8 times that. Defaults to 64.
        num_layers (int): Layers that halve the image. Defaults to 3; 2 sees
            patches of 34x34, 1 of 16x16.
        norm_cfg (dict, optional): Norm layer. Defaults to None:
            ``dict(type='BN')``.
        init_cfg (list[dict], optional): Defaults to None: as in the paper.

    Raises:
        ValueError: If ``num_layers`` is < 1.

    Examples:
        >>> of_pix2pix = dict(type='mmamp.PatchDiscriminator', in_channels=6)
        >>> of_cyclegan = dict(
        ...     type='mmamp.PatchDiscriminator',
        ...     in_channels=3,
        ...     norm_cfg=dict(type='IN'))
    """

    def __init__(
        self,
        in_channels: int = 6,
        base_channels: int = 64,
        num_layers: int = 3,
        norm_cfg: dict[str, Any] | None = None,
        init_cfg: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(init_cfg or NORMAL_INIT)
        check_int('PatchDiscriminator: num_layers', num_layers)
        norm_cfg = norm_cfg or dict(type='BN')
        widths = [base_channels * min(2**i, 8) for i in range(num_layers + 1)]
        layers: list[nn.Module] = [
            conv_module(
                widths[i - 1] if i else in_channels,
                width,
                kernel_size=4,
                stride=2 if i < num_layers else 1,
                padding=1,
                # The first layer has no norm.
                norm_cfg=norm_cfg if i else None,
                act_cfg=_LEAKY,
            )
            for i, width in enumerate(widths)
        ]
        layers.append(nn.Conv2d(widths[-1], 1, kernel_size=4, padding=1))
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Tell how real patches of images are.

        Args:
            images (Tensor): All that it sees, of shape (N, in_channels, H, W),
                in [-1, 1].

        Returns:
            Tensor: Logits, of shape (N, 1, h, w), one a patch.
        """
        logits: Tensor = self.layers(images)
        return logits
