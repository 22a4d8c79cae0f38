"""StyleGAN2 (Karras et al., 2020), configuration F."""

import math
from typing import ClassVar

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmamp.compat.torch import in_backward
from mmamp.models.base.memory_format import as_kernels
from mmamp.models.layers.equalized import (
    EqualizedLinear,
    at_least_float32,
    leaky_relu,
)
from mmamp.models.layers.fir import Upsample
from mmamp.models.layers.mapping_network import (
    MappingNetwork,
    check_labels,
)
from mmamp.models.layers.sizes import num_doublings
from mmamp.models.layers.stylegan2_blocks import (
    ConvLayer,
    MinibatchStd,
    ResidualBlock,
    StyledLayer,
    ToRGB,
)
from mmamp.registry import MODELS
from mmamp.utils.checks import check_int


def _widths(
    image_size: int, channel_base: int, channel_max: int
) -> dict[int, int]:
    """Return the channels of each resolution, from 4x4 to the image's."""
    num_doublings(image_size)  # which checks it
    check_int('channel_max', channel_max)
    # At least one channel at the largest resolution.
    check_int('channel_base', channel_base, low=image_size)
    sizes = [2**i for i in range(2, image_size.bit_length())]
    return {size: min(channel_base // size, channel_max) for size in sizes}


def _check_clamp(conv_clamp: float | None) -> float | None:
    if conv_clamp is not None and (
        isinstance(conv_clamp, bool)
        or not isinstance(conv_clamp, (int, float))
        or not conv_clamp > 0
    ):
        raise ValueError(
            f'conv_clamp must be a number > 0 or None, but got {conv_clamp!r}'
        )
    return conv_clamp


class _SynthesisBlock(nn.Module):
    """One resolution: one convolution at 4x4, else two, and to_rgb."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        out_channels: int,
        size: int,
        style_size: int,
        conv_clamp: float | None,
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        if size > 4:
            self.convs.append(
                StyledLayer(
                    in_channels,
                    channels,
                    size,
                    style_size,
                    upsample=True,
                    conv_clamp=conv_clamp,
                )
            )
        self.convs.append(
            StyledLayer(
                channels, channels, size, style_size, conv_clamp=conv_clamp
            )
        )
        self.to_rgb = ToRGB(channels, out_channels, style_size, conv_clamp)

    def forward(
        self, x: Tensor, w: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Compute features, and their part of the image.

        Args:
            x (Tensor): Features of the resolution below.
            w (Tensor): (N, layers, D), one for each convolution and to_rgb.
            generator (torch.Generator, optional): Of the noise.
        """
        for i, conv in enumerate(self.convs):
            x = conv(x, w[:, i], generator)
        return x, self.to_rgb(x, w[:, len(self.convs)])


W_DECAY = 0.995
"""How much of the average of ``w`` is left after a training pass, as in
StyleGAN2-ADA (Karras et al., NeurIPS 2020)."""


@MODELS.register_module()
class StyleGAN2Generator(BaseModule):
    """Noise to style to image.

    Karras et al., "Analyzing and Improving the Image Quality of StyleGAN",
    CVPR 2020: mapping network, modulated convolutions with noise, and an
    image that is summed up over the resolutions. In evaluation mode the
    noise of the layers is fixed; in training it is fresh. The image is
    float32 in every precision, and has no bound.

    Each training pass of the mapping network moves the buffer ``w_average``
    by 0.005 towards the mean of its ``w``, of the first latents alone where
    styles are mixed. Truncation (Karras et al., "A Style-Based Generator
    Architecture for Generative Adversarial Networks", CVPR 2019, appendix B)
    draws ``w`` towards it.

    Args:
        image_size (int): Height and width of the image, a power of 2.
        out_channels (int): Channels of the image. Defaults to 3.
        noise_size (int): Length of the latent ``z``. Defaults to 512.
        style_size (int): Length of the latent ``w``. Defaults to 512.
        num_mapping_layers (int): Layers of the mapping network. Defaults to
            8.
        channel_base (int): A resolution has ``channel_base / resolution``
            channels, but not more than ``channel_max``. Defaults to 32768.
        channel_max (int): See there. Defaults to 512.
        conv_clamp (float, optional): Outputs of the convolutions are clamped
            to ``[-conv_clamp, conv_clamp]``, which float16 wants;
            StyleGAN2-ADA takes 256. Defaults to None.
        num_classes (int, optional): Number of classes, whose embedding the
            mapping network gets beside the noise, as in StyleGAN2-ADA.
            Defaults to None: unconditional.
        truncation_layers (int, optional): How many of the first layers of
            ``w`` truncation is for. Defaults to None: all ``num_layers``.

    Raises:
        ValueError: If ``image_size`` is no power of 2 from 8 on, or another
            value is out of its range.

    Examples:
        >>> generator = dict(
        ...     type='mmamp.StyleGAN2Generator',
        ...     image_size=256,
        ...     channel_base=16384,
        ...     conv_clamp=256.)
    """

    truncates_itself: ClassVar[bool] = True
    rank_statistics: ClassVar[tuple[str, ...]] = ('w_average',)
    w_average: Tensor

    def __init__(
        self,
        image_size: int,
        out_channels: int = 3,
        noise_size: int = 512,
        style_size: int = 512,
        num_mapping_layers: int = 8,
        channel_base: int = 32768,
        channel_max: int = 512,
        conv_clamp: float | None = None,
        num_classes: int | None = None,
        truncation_layers: int | None = None,
    ) -> None:
        super().__init__()
        widths = _widths(image_size, channel_base, channel_max)
        _check_clamp(conv_clamp)
        check_int('num_mapping_layers', num_mapping_layers)
        self.mapping_network = MappingNetwork(
            noise_size, style_size, num_mapping_layers, num_classes
        )
        self.constant = nn.Parameter(torch.randn(1, widths[4], 4, 4))
        self.blocks = nn.ModuleList(
            _SynthesisBlock(
                widths[max(size // 2, 4)],
                width,
                out_channels,
                size,
                style_size,
                conv_clamp,
            )
            for size, width in widths.items()
        )
        self.upsample = Upsample()
        # A to_rgb shares its style with the next resolution's convolution.
        self.num_layers = 2 * len(widths)
        if truncation_layers is None:
            truncation_layers = self.num_layers
        self.truncation_layers = check_int(
            'truncation_layers', truncation_layers, 1, self.num_layers
        )
        self.register_buffer('w_average', torch.zeros(style_size))

    def mapping(
        self,
        noise: Tensor,
        labels: Tensor | None = None,
        mixing: Tensor | None = None,
        crossover: Tensor | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Map noise to styles.

        Args:
            noise (Tensor): Standard normal, of shape (N, noise_size).
            labels (Tensor, optional): Classes, of shape (N, ). Defaults to
                None, which is for ``num_classes=None``.
            mixing (Tensor, optional): Other noise, of the same shape, whose
                styles take over. Defaults to None.
            crossover (Tensor, optional): The layer from which on, of shape
                (N, ); ``num_layers`` is nowhere. Defaults to None.
            truncation (float, optional): The paper's psi: ``w`` becomes
                ``w_average + psi * (w - w_average)``, in the first
                ``truncation_layers``. Defaults to None: as with 1, no
                truncation.

        Returns:
            Tensor: ``w``, of shape (N, num_layers, style_size).

        Raises:
            ValueError: If only one of ``mixing`` and ``crossover`` is given,
                labels without classes, or no labels with classes.
        """
        if (mixing is None) != (crossover is None):
            missing = 'crossover' if crossover is None else 'mixing'
            raise ValueError(
                f'{missing} is missing: give mixing and crossover, or neither'
            )
        styles: Tensor = self.mapping_network(noise, labels)
        # Activation checkpointing may run it again in the backward pass.
        if self.training and not in_backward():
            self._follow(styles)
        w = styles[:, None].expand(-1, self.num_layers, -1)
        if mixing is not None and crossover is not None:
            is_first = self._layers(w) < crossover[:, None]
            other = self.mapping_network(mixing, labels)[:, None]
            w = torch.where(is_first[..., None], w, other)
        return w if truncation is None else self._truncate(w, truncation)

    @torch.no_grad()
    def _follow(self, styles: Tensor) -> None:
        """Move the average of ``w`` towards that of a micro-batch."""
        mean = at_least_float32(styles).mean(0).to(self.w_average.dtype)
        self.w_average.lerp_(mean, 1 - W_DECAY)

    def _truncate(self, w: Tensor, psi: float) -> Tensor:
        w = at_least_float32(w)
        weight = torch.where(
            self._layers(w) < self.truncation_layers, psi, 1.0
        )
        return self.w_average.to(w.dtype).lerp(w, weight[:, None].to(w.dtype))

    def _layers(self, w: Tensor) -> Tensor:
        return torch.arange(self.num_layers, device=w.device)

    def synthesis(
        self, w: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Generate images from styles.

        Args:
            w (Tensor): Of shape (N, num_layers, style_size).
            generator (torch.Generator, optional): Of the layers' noise in
                training. Defaults to None: torch's own.

        Returns:
            Tensor: Images of shape (N, C, H, W), float32.
        """
        x = self.constant.expand(len(w), -1, -1, -1)
        parts = []
        for i, block in enumerate(self.blocks):
            layers = w[:, max(2 * i - 1, 0) : 2 * i + 2]
            x, rgb = block(x, layers, generator)
            parts.append(at_least_float32(rgb))
        image, *others = parts
        for part in others:
            image = self.upsample(image) + part
        return image

    def forward(
        self,
        noise: Tensor,
        labels: Tensor | None = None,
        mixing: Tensor | None = None,
        crossover: Tensor | None = None,
        generator: torch.Generator | None = None,
        truncation: float | None = None,
    ) -> Tensor:
        """Generate images from noise.

        Args:
            noise (Tensor): Standard normal, of shape (N, noise_size).
            labels (Tensor, optional): Classes, as in :meth:`mapping`, of
                shape (N, ). Defaults to None.
            mixing (Tensor, optional): As in :meth:`mapping`, of shape
                (N, noise_size). Defaults to None.
            crossover (Tensor, optional): As there, of shape (N, ). Defaults
                to None.
            generator (torch.Generator, optional): As in :meth:`synthesis`.
                Defaults to None.
            truncation (float, optional): As in :meth:`mapping`. Defaults to
                None.

        Returns:
            Tensor: Images of shape (N, C, H, W), float32, near [-1, 1].
        """
        w = self.mapping(noise, labels, mixing, crossover, truncation)
        return self.synthesis(w, generator)


@MODELS.register_module()
class StyleGAN2Discriminator(BaseModule):
    """Image to logit through residual blocks and a minibatch deviation.

    With classes the logit is, as in StyleGAN2-ADA (Karras et al., "Training
    Generative Adversarial Networks with Limited Data", NeurIPS 2020), a
    projection (Miyato and Koyama, ICLR 2018): the image's features times what
    a mapping network makes of the class, over the root of their number.

    Args:
        image_size (int): Height and width of the image, a power of 2.
        in_channels (int): Channels of the image. Defaults to 3.
        channel_base (int): As in the generator. Defaults to 32768.
        channel_max (int): As there. Defaults to 512.
        conv_clamp (float, optional): As there. Defaults to None.
        std_group_size (int): Samples whose standard deviation it sees; where
            it does not divide the batch, the largest smaller number that
            does. Defaults to 4.
        num_classes (int, optional): Number of classes. Defaults to None:
            unconditional.
        num_mapping_layers (int): Layers of the mapping network of the
            classes. Defaults to 8.

    Raises:
        ValueError: If ``image_size`` is no power of 2 from 8 on, or another
            value is out of its range.

    Examples:
        >>> discriminator = dict(
        ...     type='mmamp.StyleGAN2Discriminator',
        ...     image_size=256,
        ...     channel_base=16384,
        ...     conv_clamp=256.)
    """

    def __init__(
        self,
        image_size: int,
        in_channels: int = 3,
        channel_base: int = 32768,
        channel_max: int = 512,
        conv_clamp: float | None = None,
        std_group_size: int = 4,
        num_classes: int | None = None,
        num_mapping_layers: int = 8,
    ) -> None:
        super().__init__()
        widths = _widths(image_size, channel_base, channel_max)
        _check_clamp(conv_clamp)
        check_int('std_group_size', std_group_size)
        self.from_rgb = ConvLayer(
            in_channels, widths[image_size], 1, conv_clamp=conv_clamp
        )
        sizes = sorted(widths, reverse=True)[:-1]
        self.blocks = nn.ModuleList(
            ResidualBlock(widths[size], widths[size // 2], conv_clamp)
            for size in sizes
        )
        width = widths[4]
        self.minibatch_std = MinibatchStd(std_group_size)
        self.conv = ConvLayer(width + 1, width, 3, conv_clamp=conv_clamp)
        self.linear = EqualizedLinear(width * 4 * 4, width)
        check_int('num_mapping_layers', num_mapping_layers)
        self.num_classes = num_classes
        self.out = EqualizedLinear(width, 1 if num_classes is None else width)
        self.mapping_network = None
        if num_classes is not None:
            self.mapping_network = MappingNetwork(
                0, width, num_mapping_layers, num_classes
            )

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Tell how real images are, as images of their classes if it has any.

        Args:
            images (Tensor): Of shape (N, C, H, W), in [-1, 1].
            labels (Tensor, optional): Classes, of shape (N, ). Defaults to
                None, which is for ``num_classes=None``.

        Returns:
            Tensor: Logits, of shape (N, 1).

        Raises:
            ValueError: If there are labels without classes, or no labels
                with classes.
        """
        check_labels(labels, self.num_classes)
        # A grey image, and a kernel of one pixel, say nothing of a format.
        x = as_kernels(self.from_rgb(images), self.blocks)
        for block in self.blocks:
            x = block(x)
        x = self.conv(self.minibatch_std(x))
        logits: Tensor = self.out(leaky_relu(self.linear(x.flatten(1))))
        if self.mapping_network is None:
            return logits
        features = at_least_float32(logits)
        projection = features * self.mapping_network(None, labels)
        logits = projection.sum(1, keepdim=True) / math.sqrt(features.shape[1])
        return logits
