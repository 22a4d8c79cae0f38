"""What augmentations of a discriminator's images share."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from mmamp.randomness.samples import SampleRandom
from mmamp.registry import built


class Augmentation(nn.Module):
    """Transforms of images, differentiable twice in every dtype.

    Computed in float32 whatever the dtype of the images, and returned so, as
    real images are float32 and generated ones may be narrower: the
    discriminator gets both alike.
    """

    def forward(
        self, images: Tensor, random: SampleRandom | None = None
    ) -> Tensor:
        """Transform images, each in its own way.

        Args:
            images (Tensor): Of shape (N, C, H, W), within [-1, 1].
            random (SampleRandom, optional): Where random numbers come
                from. Defaults to None: torch's.

        Returns:
            Tensor: Of the same shape; float32, or float64 if they are.
        """
        wide = torch.promote_types(images.dtype, torch.float32)
        with torch.autocast(images.device.type, enabled=False):
            return self.transform(images.to(wide), random)

    @abstractmethod
    def transform(self, images: Tensor, random: SampleRandom | None) -> Tensor:
        """Transform images, outside of autocast.

        Args:
            images (Tensor): Of shape (N, C, H, W); float32 or float64.
            random (SampleRandom or None): Where random numbers come from;
                None is torch's.

        Returns:
            Tensor: Of the same shape and dtype.
        """

    def check_loss(self, gan_type: str | None) -> None:
        """Refuse a loss that it does not work with.

        Args:
            gan_type (str, optional): Of ``GANLoss``; None of any other.

        Raises:
            ValueError: If it does not.
        """

    def observe(self, logits: Tensor) -> None:
        """Learn what the discriminator said of real images.

        Args:
            logits (Tensor): Of a micro-batch, of shape (N, ...).
        """

    def adapt(self, updates: int) -> None:
        """Learn that the discriminator was updated; on all ranks.

        Args:
            updates (int): How often by now, skipped windows included.
        """

    def scalars(self) -> dict[str, Tensor]:
        """Return what a log should show.

        Returns:
            dict[str, Tensor]: By name; on the device.
        """
        return {}


class AugmentedDiscriminator(nn.Module):
    """A discriminator that augments its images, such as a penalty is given.

    Gradients with respect to images are then those of the images before.

    Args:
        discriminator (nn.Module): Takes images, and what goes with them.
        augment (Augmentation): Of the images.
        random (SampleRandom): Where its random numbers come from.
    """

    def __init__(
        self,
        discriminator: nn.Module,
        augment: Augmentation,
        random: SampleRandom,
    ) -> None:
        super().__init__()
        self.discriminator = discriminator
        self.augment = augment
        self._random = random

    def forward(self, images: Tensor, *others: Tensor) -> Tensor:
        """Return the logits of augmented images."""
        augmented = self.augment(images, self._random)
        logits: Tensor = self.discriminator(augmented, *others)
        return logits


def built_augmentation(
    augment: dict[str, Any] | nn.Module | None, gan_loss: nn.Module
) -> Augmentation | None:
    """Build an augmentation, if there is one.

    Args:
        augment (dict or nn.Module, optional): What was given.
        gan_loss (nn.Module): That the discriminator is trained by.

    Raises:
        TypeError: If it is no augmentation.
        ValueError: If it does not work with the loss.
    """
    if augment is None:
        return None
    module = built('augment', augment)
    if not isinstance(module, Augmentation):
        raise TypeError(
            'augment must be an Augmentation, such as dict(type='
            "'mmamp.ADA') or dict(type='mmamp.DiffAugment'), but got "
            f'{type(module).__name__}'
        )
    module.check_loss(getattr(gan_loss, 'gan_type', None))
    return module
