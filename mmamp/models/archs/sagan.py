"""SAGAN (Zhang et al., 2019).

Residual networks with self-attention and with spectral norm in both of them;
class-conditional or not.
"""

from functools import partial

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmamp.models.base.memory_format import as_kernels
from mmamp.models.layers.residual_blocks import (
    ClassNorm,
    DiscriminatorBlock,
    GeneratorBlock,
    SelfAttention,
)
from mmamp.models.layers.sizes import num_doublings
from mmamp.models.layers.spectral_norm import (
    Float32SpectralNorm,
    spectral_norm,
)
from mmamp.registry import MODELS


def _attention(
    attention_size: int | None, widths: dict[int, int]
) -> nn.ModuleDict:
    """Build self-attention at one of the resolutions that blocks give."""
    if attention_size is None:
        return nn.ModuleDict()
    if attention_size not in widths:
        raise ValueError(
            f'attention_size={attention_size!r}: give one of {list(widths)}, '
            'the resolutions of the blocks, or None'
        )
    if widths[attention_size] < 8:
        raise ValueError(
            f'attention_size={attention_size!r} has {widths[attention_size]} '
            'channels, but self-attention needs 8: give more base_channels'
        )
    return nn.ModuleDict(
        {str(attention_size): SelfAttention(widths[attention_size])}
    )


def _check_labels(num_classes: int | None, labels: Tensor | None) -> None:
    if (num_classes is None) != (labels is None):
        raise ValueError(
            f'num_classes={num_classes!r}, but labels were '
            f'{"not " if labels is None else ""}given'
        )


def _xavier_(network: nn.Module) -> None:
    """Set Xavier's uniform weights (Glorot and Bengio, 2010), in place."""
    for module in network.modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        # Under spectral norm `weight` is computed from the original.
        weight = module.get_parameter('parametrizations.weight.original')
        nn.init.xavier_uniform_(weight)
        norm = module.get_submodule('parametrizations.weight.0')
        if isinstance(norm, Float32SpectralNorm):
            norm.refresh(weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@MODELS.register_module()
class SAGANGenerator(BaseModule):
    """Noise, and maybe a label, to image.

    Zhang, Goodfellow, Metaxas and Odena, "Self-Attention Generative
    Adversarial Networks", ICML 2019.

    Args:
        image_size (int): Height and width of the image, a power of 2.
        num_classes (int, optional): Number of classes; BatchNorm then has a
            gain and a bias for each. Defaults to None: no labels.
        out_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Channels at the image's resolution; they double
            towards the noise, up to 16 times as many. Defaults to 64.
        noise_size (int): Length of the latent vector. Defaults to 128.
        attention_size (int, optional): Resolution that self-attention works
            at, 32 in the paper. Defaults to None: no attention.

    Raises:
        ValueError: If ``image_size`` is no power of 2 from 8 on, or
            ``attention_size`` cannot be.

    Examples:
        >>> generator = dict(
        ...     type='mmamp.SAGANGenerator',
        ...     image_size=128,
        ...     num_classes=1000,
        ...     attention_size=32)
    """

    def __init__(
        self,
        image_size: int,
        num_classes: int | None = None,
        out_channels: int = 3,
        base_channels: int = 64,
        noise_size: int = 128,
        attention_size: int | None = None,
    ) -> None:
        super().__init__()
        blocks = num_doublings(image_size)
        self.num_classes = num_classes
        widths = {
            4 * 2**i: base_channels * min(2 ** (blocks - i), 16)
            for i in range(blocks + 1)
        }
        self.width = widths[4]
        self.linear = spectral_norm(nn.Linear(noise_size, self.width * 4 * 4))
        norm = partial(ClassNorm, num_classes=num_classes)
        sizes = list(widths)[1:]
        self.blocks = nn.ModuleDict(
            {
                str(size): GeneratorBlock(
                    widths[size // 2], widths[size], norm
                )
                for size in sizes
            }
        )
        self.attention = _attention(
            attention_size, {size: widths[size] for size in sizes}
        )
        self.to_image = nn.Sequential(
            nn.BatchNorm2d(base_channels),
            nn.ReLU(),
            spectral_norm(
                nn.Conv2d(base_channels, out_channels, 3, padding=1)
            ),
            nn.Tanh(),
        )
        _xavier_(self)

    def forward(self, noise: Tensor, labels: Tensor | None = None) -> Tensor:
        """Generate images, maybe of classes.

        Args:
            noise (Tensor): Standard normal, of shape (N, noise_size).
            labels (Tensor, optional): Classes, of shape (N, ), where there
                is ``num_classes``. Defaults to None.

        Returns:
            Tensor: In [-1, 1], of shape (N, C, H, W).

        Raises:
            ValueError: If labels are missing, or there are no classes.
        """
        _check_labels(self.num_classes, labels)
        x = self.linear(noise).view(-1, self.width, 4, 4)
        x = as_kernels(x, self.blocks)
        for size, block in self.blocks.items():
            x = block(x, labels)
            if size in self.attention:
                x = self.attention[size](x)
        images: Tensor = self.to_image(x)
        return images


@MODELS.register_module()
class SAGANDiscriminator(BaseModule):
    """Image, and maybe a label, to logit.

    Labels enter by projection (Miyato and Koyama, 2018).

    Args:
        image_size (int): Height and width of the image, a power of 2.
        num_classes (int, optional): Number of classes. Defaults to None: no
            labels.
        in_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Channels after the first block; they double with
            each, up to 16 times as many. Defaults to 64.
        attention_size (int, optional): As in the generator, but of what the
            blocks give here. Defaults to None.

    Raises:
        ValueError: If ``image_size`` is no power of 2 from 8 on, or
            ``attention_size`` cannot be.

    Examples:
        >>> discriminator = dict(
        ...     type='mmamp.SAGANDiscriminator',
        ...     image_size=128,
        ...     num_classes=1000,
        ...     attention_size=32)
    """

    def __init__(
        self,
        image_size: int,
        num_classes: int | None = None,
        in_channels: int = 3,
        base_channels: int = 64,
        attention_size: int | None = None,
    ) -> None:
        super().__init__()
        blocks = num_doublings(image_size)
        self.num_classes = num_classes
        widths = {
            image_size // 2 ** (i + 1): base_channels * min(2**i, 16)
            for i in range(blocks)
        }
        channels = [in_channels, *widths.values()]
        self.blocks = nn.ModuleDict(
            {
                str(size): DiscriminatorBlock(
                    channels[i],
                    channels[i + 1],
                    downsample=True,
                    is_first=i == 0,
                )
                for i, size in enumerate(widths)
            }
        )
        self.attention = _attention(attention_size, widths)
        width = channels[-1]
        self.last = DiscriminatorBlock(
            width, width, downsample=False, is_first=False
        )
        self.relu = nn.ReLU()
        self.linear = spectral_norm(nn.Linear(width, 1))
        self.embedding = (
            None
            if num_classes is None
            else spectral_norm(nn.Embedding(num_classes, width))
        )
        _xavier_(self)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Tell how real images are, maybe as images of their classes.

        Args:
            images (Tensor): Of shape (N, C, H, W), in [-1, 1].
            labels (Tensor, optional): Classes, of shape (N, ), where there
                is ``num_classes``. Defaults to None.

        Returns:
            Tensor: Logits, of shape (N, 1).

        Raises:
            ValueError: If labels are missing, or there are no classes.
        """
        _check_labels(self.num_classes, labels)
        x = images
        for size, block in self.blocks.items():
            x = block(x)
            if size in self.attention:
                x = self.attention[size](x)
        features = self.relu(self.last(x)).sum(dim=(2, 3))
        logits: Tensor = self.linear(features)
        if self.embedding is not None:
            projection = self.embedding(labels) * features
            logits = logits + projection.sum(1, keepdim=True)
        return logits
