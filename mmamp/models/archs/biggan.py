"""BigGAN (Brock, Donahue and Simonyan, 2019), class-conditional.

The paper's residual blocks, shared class embedding, hierarchical latents,
conditional BatchNorm, self-attention and projection discriminator.
"""

from functools import partial

from mmengine.model import BaseModule
from torch import Tensor, cat, nn

from mmamp.models.base.memory_format import as_kernels
from mmamp.models.layers.residual_blocks import (
    ConditionalNorm,
    DiscriminatorBlock,
    GeneratorBlock,
    SelfAttention,
    orthogonal_,
)
from mmamp.models.layers.spectral_norm import spectral_norm
from mmamp.registry import MODELS

# Channel multipliers from the smallest resolution to the largest (paper,
# appendix B), by image size; 32x32 as in the authors' CIFAR-10 setting.
_GENERATOR_WIDTHS = {
    32: (4, 4, 4, 4),
    64: (16, 16, 8, 4, 2),
    128: (16, 16, 8, 4, 2, 1),
}
_DISCRIMINATOR_WIDTHS = {
    32: (4, 4, 4, 4),
    64: (1, 2, 4, 8, 16),
    128: (1, 2, 4, 8, 16, 16),
}


def _widths(
    table: dict[int, tuple[int, ...]], image_size: int, base_channels: int
) -> list[int]:
    if image_size not in table:
        raise ValueError(
            f'image_size={image_size!r}: give one of {list(table)}'
        )
    return [base_channels * m for m in table[image_size]]


def _check_attention(attention_size: int | None, sizes: list[int]) -> None:
    if attention_size is not None and attention_size not in sizes:
        raise ValueError(
            f'attention_size={attention_size!r}: give one of {sizes}, the '
            'resolutions of the blocks, or None'
        )


@MODELS.register_module()
class BigGANGenerator(BaseModule):
    """Noise and label to image.

    Args:
        image_size (int): 32, 64 or 128.
        num_classes (int): Number of classes.
        out_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Unit of the channel counts, 96 in the paper.
            Defaults to 64.
        noise_size (int): Length of the latent vector; it is split evenly
            over the first layer and the blocks. Defaults to 120.
        embedding_size (int): Length of the shared class embedding. Defaults
            to 128.
        attention_size (int, optional): Resolution that self-attention works
            at. Defaults to None: no attention.

    Raises:
        ValueError: If ``image_size`` is not one of those, or ``noise_size``
            cannot be split evenly.

    Examples:
        >>> generator = dict(
        ...     type='mmamp.BigGANGenerator',
        ...     image_size=128,
        ...     num_classes=1000,
        ...     attention_size=64)
    """

    def __init__(
        self,
        image_size: int,
        num_classes: int,
        out_channels: int = 3,
        base_channels: int = 64,
        noise_size: int = 120,
        embedding_size: int = 128,
        attention_size: int | None = None,
    ) -> None:
        super().__init__()
        widths = _widths(_GENERATOR_WIDTHS, image_size, base_channels)
        chunks = len(widths)
        if noise_size % chunks:
            raise ValueError(
                f'noise_size={noise_size!r} must be a multiple of {chunks}, '
                f'the parts that latents have at image_size={image_size}'
            )
        self.chunk_size = noise_size // chunks
        self.width = widths[0]
        norm = partial(
            ConditionalNorm, condition_size=self.chunk_size + embedding_size
        )
        self.embedding = nn.Embedding(num_classes, embedding_size)
        self.linear = spectral_norm(
            nn.Linear(self.chunk_size, self.width * 4 * 4)
        )
        self.blocks = nn.ModuleList(
            GeneratorBlock(widths[i], widths[i + 1], norm)
            for i in range(chunks - 1)
        )
        sizes = [8 * 2**i for i in range(chunks - 1)]
        _check_attention(attention_size, sizes)
        self.attention = nn.ModuleDict(
            {
                str(i): SelfAttention(widths[i + 1])
                for i in range(chunks - 1)
                if sizes[i] == attention_size
            }
        )
        self.to_image = nn.Sequential(
            nn.BatchNorm2d(widths[-1]),
            nn.ReLU(),
            spectral_norm(nn.Conv2d(widths[-1], out_channels, 3, padding=1)),
            nn.Tanh(),
        )
        orthogonal_(self)

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Generate images of classes.

        Args:
            noise (Tensor): Standard normal, of shape (N, noise_size).
            labels (Tensor): Classes, of shape (N, ).

        Returns:
            Tensor: In [-1, 1], of shape (N, C, H, W).
        """
        first, *parts = noise.split(self.chunk_size, dim=1)
        embedding = self.embedding(labels)
        x = self.linear(first).view(-1, self.width, 4, 4)
        x = as_kernels(x, self.blocks)
        for i, (block, part) in enumerate(
            zip(self.blocks, parts, strict=True)
        ):
            x = block(x, cat([embedding, part], dim=1))
            if str(i) in self.attention:
                x = self.attention[str(i)](x)
        images: Tensor = self.to_image(x)
        return images


@MODELS.register_module()
class BigGANDiscriminator(BaseModule):
    """Image and label to logit, by projection (Miyato and Koyama, 2018).

    Args:
        image_size (int): 32, 64 or 128.
        num_classes (int): Number of classes.
        in_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Unit of the channel counts. Defaults to 64.
        attention_size (int, optional): As in the generator. Defaults to None.
        shortcut_act (bool): Whether shortcuts see features after the
            activation, as in MMagic, whose activation is in place. Defaults
            to False.

    Raises:
        ValueError: If ``image_size`` or ``attention_size`` cannot be.

    Examples:
        >>> discriminator = dict(
        ...     type='mmamp.BigGANDiscriminator',
        ...     image_size=128,
        ...     num_classes=1000,
        ...     attention_size=64)
    """

    def __init__(
        self,
        image_size: int,
        num_classes: int,
        in_channels: int = 3,
        base_channels: int = 64,
        attention_size: int | None = None,
        shortcut_act: bool = False,
    ) -> None:
        super().__init__()
        widths = _widths(_DISCRIMINATOR_WIDTHS, image_size, base_channels)
        channels = [in_channels, *widths]
        # The last block, at the smallest resolution, keeps it.
        last = len(widths) - 1
        keeps = {last - 1, last} if image_size == 32 else {last}
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(
                channels[i],
                channels[i + 1],
                downsample=i not in keeps,
                is_first=i == 0,
                shortcut_act=shortcut_act,
            )
            for i in range(len(widths))
        )
        sizes = [image_size // 2 ** (i + 1) for i in range(last)]
        sizes = [size for i, size in enumerate(sizes) if i not in keeps]
        _check_attention(attention_size, sizes)
        self.attention = nn.ModuleDict(
            {
                str(i): SelfAttention(channels[i + 1])
                for i, size in enumerate(sizes)
                if size == attention_size
            }
        )
        self.relu = nn.ReLU()
        self.linear = spectral_norm(nn.Linear(widths[-1], 1))
        self.embedding = spectral_norm(nn.Embedding(num_classes, widths[-1]))
        orthogonal_(self)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Tell how real images are, as images of their classes.

        Args:
            images (Tensor): Of shape (N, C, H, W), in [-1, 1].
            labels (Tensor): Classes, of shape (N, ).

        Returns:
            Tensor: Logits, of shape (N, 1).
        """
        x = images
        for i, block in enumerate(self.blocks):
            x = block(x)
            if str(i) in self.attention:
                x = self.attention[str(i)](x)
        features = self.relu(x).sum(dim=(2, 3))
        projection = (self.embedding(labels) * features).sum(1, keepdim=True)
        logits: Tensor = self.linear(features) + projection
        return logits
