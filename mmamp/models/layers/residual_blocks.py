"""Residual blocks, norms and attention of SAGAN and BigGAN."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from mmamp.models.base.memory_format import as_features

from .spectral_norm import Float32SpectralNorm, spectral_norm


def _conv(
    in_channels: int, out_channels: int, size: int, bias: bool = True
) -> nn.Module:
    return spectral_norm(
        nn.Conv2d(
            in_channels, out_channels, size, padding=size // 2, bias=bias
        )
    )


def orthogonal_(network: nn.Module) -> None:
    """Give every layer orthogonal weights (Saxe et al., 2014), in place."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
            if not is_parametrized(module):
                nn.init.orthogonal_(module.weight)
                continue
            # Under spectral norm `weight` is computed from the original.
            weight = module.get_parameter('parametrizations.weight.original')
            nn.init.orthogonal_(weight)
            norm = module.get_submodule('parametrizations.weight.0')
            if isinstance(norm, Float32SpectralNorm):
                norm.refresh(weight)


class ConditionalNorm(nn.Module):
    """BatchNorm whose gain and bias are linear in a condition.

    De Vries et al., 2017; in BigGAN's form the gain is centred at one.
    """

    def __init__(self, channels: int, condition_size: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = spectral_norm(
            nn.Linear(condition_size, channels, bias=False)
        )
        self.bias = spectral_norm(
            nn.Linear(condition_size, channels, bias=False)
        )

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """Map (N, C, H, W) and a condition (N, D) to (N, C, H, W)."""
        gain = 1 + self.gain(condition)[:, :, None, None]
        bias = self.bias(condition)[:, :, None, None]
        return torch.addcmul(bias, self.norm(x), gain)


class ClassNorm(nn.Module):
    """BatchNorm with a gain and a bias for each class.

    Dumoulin et al., "A Learned Representation For Artistic Style", 2017;
    Miyato and Koyama, "cGANs with Projection Discriminator", 2018.

    Args:
        channels (int): Channels.
        num_classes (int, optional): Defaults to None: plain BatchNorm.
    """

    def __init__(self, channels: int, num_classes: int | None = None) -> None:
        super().__init__()
        is_plain = num_classes is None
        self.norm = nn.BatchNorm2d(channels, affine=is_plain)
        if num_classes is not None:
            self.gain = nn.Embedding(num_classes, channels)
            self.bias = nn.Embedding(num_classes, channels)
            nn.init.ones_(self.gain.weight)
            nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map (N, C, H, W), and labels (N, ) if any, to (N, C, H, W)."""
        x = self.norm(x)
        if labels is None:
            return x
        gain, bias = self.gain(labels), self.bias(labels)
        return torch.addcmul(
            bias[:, :, None, None].to(x.dtype),
            x,
            gain[:, :, None, None].to(x.dtype),
        )


class GeneratorBlock(nn.Module):
    """Residual block that doubles the resolution (BigGAN, figure 15b).

    Args:
        in_channels (int): Inputs.
        out_channels (int): Outputs.
        norm (Callable): Makes the norm of so many channels, which is called
            with features and the condition.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm: Callable[[int], nn.Module],
    ) -> None:
        super().__init__()
        self.norm1 = norm(in_channels)
        self.conv1 = _conv(in_channels, out_channels, 3)
        self.norm2 = norm(out_channels)
        self.conv2 = _conv(out_channels, out_channels, 3)
        self.shortcut = _conv(in_channels, out_channels, 1)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """Map (N, C, H, W) and the norms' condition to (N, C', 2H, 2W)."""
        h = F.relu(self.norm1(x, condition))
        h = self.conv1(F.interpolate(h, scale_factor=2))
        h = self.conv2(F.relu(self.norm2(h, condition)))
        # A 1x1 convolution commutes with the upsampling, and costs a quarter
        # before it.
        x = h + F.interpolate(self.shortcut(x), scale_factor=2)
        return x


class DiscriminatorBlock(nn.Module):
    """Residual block that may halve the resolution (BigGAN, figure 15c).

    Args:
        in_channels (int): Inputs.
        out_channels (int): Outputs.
        downsample (bool): Whether it halves the resolution.
        is_first (bool): Whether it sees the image.
        shortcut_act (bool): Whether the activation is before the shortcut
            too. Defaults to False.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        downsample: bool,
        is_first: bool,
        shortcut_act: bool = False,
    ) -> None:
        super().__init__()
        self.downsample = downsample
        self.is_first = is_first
        self.shortcut_act = shortcut_act
        self.conv1 = _conv(in_channels, out_channels, 3)
        self.conv2 = _conv(out_channels, out_channels, 3)
        self.shortcut = (
            _conv(in_channels, out_channels, 1)
            if (downsample or in_channels != out_channels)
            else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C', H, W), or half of H and W."""
        # The image itself is not put through an activation.
        h = x if self.is_first else F.relu(x)
        x = h if self.shortcut_act else x
        h = self.conv2(F.relu(self.conv1(h)))
        if self.downsample:
            h = F.avg_pool2d(h, 2)
            x = F.avg_pool2d(x, 2)
        # Pooling and the 1x1 convolution commute too.
        x = h + self.shortcut(x)
        return x


class SelfAttention(nn.Module):
    """Self-attention of SAGAN (Zhang et al., 2019, equations 1 to 3)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.theta = _conv(channels, channels // 8, 1, bias=False)
        self.phi = _conv(channels, channels // 8, 1, bias=False)
        self.g = _conv(channels, channels // 2, 1, bias=False)
        self.out = _conv(channels // 2, channels, 1, bias=False)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        query = self.theta(x).flatten(2).transpose(1, 2)
        key = F.max_pool2d(self.phi(x), 2).flatten(2)
        value = F.max_pool2d(self.g(x), 2).flatten(2)
        weights = torch.softmax(query @ key, dim=-1)
        # Pixel by pixel, which is channels-last.
        attended = (weights @ value.transpose(1, 2)).transpose(1, 2)
        attended = as_features(attended.unflatten(2, x.shape[2:]), x)
        x = x + self.gamma * self.out(attended)
        return x
