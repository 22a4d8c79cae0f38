"""ESRGAN (Wang et al., 2018)."""

from typing import Any

import torch
from torch import Tensor, nn

from mmamp.registry import MODELS

from .srgan import SRGAN


@MODELS.register_module()
class ESRGAN(SRGAN):
    """SRGAN whose discriminator says which of two images is more real.

    Wang et al., "ESRGAN: Enhanced Super-Resolution Generative Adversarial
    Networks", ECCV Workshops 2018, sections 3.2 and 3.4, equations 1 to 3.
    Weights are the published ones (0.005 and 0.01) halved: the authors' code
    averages the adversarial loss's two terms, which the equations sum, and
    its images are in [0, 1], where a pixel is half as far off as in [-1, 1].

    Args:
        generator (dict or nn.Module): Such as
            :class:`~mmamp.models.archs.esrgan.RRDBNet`.
        discriminator (dict or nn.Module): Such as
            :class:`~mmamp.models.archs.srgan.SRGANDiscriminator`.
        gan_loss (dict or nn.Module, optional): Defaults to None:
            :class:`~mmamp.models.losses.gan_loss.RelativisticGANLoss` of
            weight 0.0025.
        pixel_loss (str): ``'mse'`` or ``'l1'``. Defaults to ``'l1'``.
        pixel_weight (float): Its weight; 0 leaves it out. Defaults to
            0.005.
        **kwargs: Other arguments of :class:`~mmamp.models.gans.srgan.SRGAN`.

    Examples:
        >>> model = dict(
        ...     type='mmamp.ESRGAN',
        ...     generator=dict(type='mmamp.RRDBNet', scale=4),
        ...     discriminator=dict(
        ...         type='mmamp.SRGANDiscriminator', image_size=128),
        ...     perceptual_loss=dict(
        ...         type='mmamp.PerceptualLoss',
        ...         layer_weights=dict(conv5_4=1.0),
        ...         weights='data/vgg19-dcbb9e9d.pth'))
    """

    def __init__(
        self,
        generator: dict[str, Any] | nn.Module,
        discriminator: dict[str, Any] | nn.Module,
        gan_loss: dict[str, Any] | nn.Module | None = None,
        pixel_loss: str = 'l1',
        pixel_weight: float = 0.005,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            generator,
            discriminator,
            gan_loss,
            pixel_loss,
            pixel_weight,
            **kwargs,
        )

    def default_gan_loss(self) -> dict[str, Any]:
        """Return the config of the adversarial loss if none is given."""
        return dict(type='mmamp.RelativisticGANLoss', loss_weight=2.5e-3)

    def _tell(
        self, source: Tensor, real: Tensor, fake: Tensor
    ) -> dict[str, Tensor]:
        pred_fake = self.discriminator(fake)
        pred_real = self.discriminator(real)
        return dict(
            loss_disc=self.gan_loss(pred_real, pred_fake, is_disc=True)
        )

    def _pass(self, source: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        with torch.no_grad():  # the generator has no part in it
            pred_real = self.discriminator(real)
        loss: Tensor = self.gan_loss(pred_real, self.discriminator(fake))
        return loss
