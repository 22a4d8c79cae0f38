"""WGAN-GP (Gulrajani et al., 2017): residual networks, a critic without norm.

A gradient penalty is one of each image by itself, which BatchNorm would mix
with the others of its batch (section 4).
"""

import math

import torch.nn.functional as F
from mmengine.model import BaseModule, Sequential
from torch import Tensor, nn

from mmamp.models.base.memory_format import as_kernels
from mmamp.models.layers.sizes import num_doublings
from mmamp.registry import MODELS

# As in the authors' code, https://github.com/igul222/improved_wgan_training:
# Glorot and Bengio's, but for what a ReLU is in front of, He et al.'s.
INIT = dict(type='Xavier', layer=['Conv2d', 'Linear'], distribution='uniform')
BLOCK_INIT = dict(
    INIT, gain=math.sqrt(2), override=dict(INIT, name='shortcut', gain=1)
)


class _Up(BaseModule):
    """Residual block that doubles the resolution."""

    def __init__(self, channels: int) -> None:
        super().__init__(BLOCK_INIT)
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.shortcut = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.interpolate(F.relu(self.norm1(x)), scale_factor=2)
        h = self.conv2(F.relu(self.norm2(self.conv1(h))))
        # A 1x1 convolution commutes with the upsampling.
        x = h + F.interpolate(self.shortcut(x), scale_factor=2)
        return x


class _Down(BaseModule):
    """Residual block that may halve the resolution."""

    def __init__(
        self, in_channels: int, out_channels: int, halves: bool, is_first: bool
    ) -> None:
        super().__init__(BLOCK_INIT)
        self.halves, self.is_first = halves, is_first
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.shortcut = (
            nn.Conv2d(in_channels, out_channels, 1)
            if halves
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        # The image itself is not put through an activation.
        h = self.conv1(x if self.is_first else F.relu(x))
        h = self.conv2(F.relu(h))
        if self.halves:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        x = h + self.shortcut(x)
        return x


@MODELS.register_module()
class WGANGPGenerator(BaseModule):
    """Noise to image through residual blocks.

    Gulrajani, Ahmed, Arjovsky, Dumoulin and Courville, "Improved Training of
    Wasserstein GANs", NeurIPS 2017, appendix F (the network for CIFAR-10).

    Args:
        image_size (int): Height and width of the image, a power of 2; 32 in
            the paper.
        out_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Channels of all blocks. Defaults to 128.
        noise_size (int): Length of the latent vector. Defaults to 128.

    Raises:
        ValueError: If ``image_size`` is no power of 2 from 8 on.

    Examples:
        >>> generator = dict(type='mmamp.WGANGPGenerator', image_size=32)
    """

    def __init__(
        self,
        image_size: int,
        out_channels: int = 3,
        base_channels: int = 128,
        noise_size: int = 128,
    ) -> None:
        super().__init__(INIT)
        self.width = base_channels
        self.linear = nn.Linear(noise_size, base_channels * 4 * 4)
        self.layers = Sequential(
            *(_Up(base_channels) for _ in range(num_doublings(image_size))),
            nn.BatchNorm2d(base_channels),
            nn.ReLU(),
            nn.Conv2d(base_channels, out_channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, noise: Tensor) -> Tensor:
        """Generate images from noise.

        Args:
            noise (Tensor): Standard normal, of shape (N, noise_size).

        Returns:
            Tensor: In [-1, 1], of shape (N, C, H, W).
        """
        x = self.linear(noise).view(-1, self.width, 4, 4)
        images: Tensor = self.layers(as_kernels(x, self.layers))
        return images


@MODELS.register_module()
class WGANGPCritic(BaseModule):
    """Image to a score, through residual blocks without normalisation.

    Blocks halve the resolution down to 8x8; two more keep it.

    Args:
        image_size (int): Height and width of the image, a power of 2.
        in_channels (int): Channels of the image. Defaults to 3.
        base_channels (int): Channels of all blocks. Defaults to 128.

    Raises:
        ValueError: If ``image_size`` is no power of 2 from 8 on.

    Examples:
        >>> discriminator = dict(type='mmamp.WGANGPCritic', image_size=32)
    """

    def __init__(
        self, image_size: int, in_channels: int = 3, base_channels: int = 128
    ) -> None:
        super().__init__(INIT)
        # The first block brings the channels, and halves in any case.
        halvings = max(num_doublings(image_size) - 1, 1)
        self.layers = Sequential(
            *(
                _Down(
                    base_channels if i else in_channels,
                    base_channels,
                    halves=i < halvings,
                    is_first=i == 0,
                )
                for i in range(halvings + 2)
            ),
            nn.ReLU(),
        )
        self.linear = nn.Linear(base_channels, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Tell how real images are.

        Args:
            images (Tensor): Of shape (N, C, H, W), in [-1, 1].

        Returns:
            Tensor: Scores, of shape (N, 1).
        """
        scores: Tensor = self.linear(self.layers(images).mean((2, 3)))
        return scores
