"""SRGAN (Ledig et al., 2017)."""

from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.nn import functional as F

from mmamp.registry import MODELS, built
from mmamp.utils.checks import check_choice, check_weight

from .image_translation import ImageTranslationGAN

_PIXEL_LOSSES = {'l1': F.l1_loss, 'mse': F.mse_loss}


@MODELS.register_module()
class SRGAN(ImageTranslationGAN):
    """Low-resolution images to larger ones that look real.

    Ledig et al., "Photo-Realistic Single Image Super-Resolution Using a
    Generative Adversarial Network", CVPR 2017, section 2.2. Low-resolution
    images are ``inputs``, wanted ones ``data_samples['gt_img']``.

    Args:
        generator (dict or nn.Module): Such as
            :class:`~mmamp.models.archs.srgan.SRResNet`.
        discriminator (dict or nn.Module): Such as
            :class:`~mmamp.models.archs.srgan.SRGANDiscriminator`.
        gan_loss (dict or nn.Module, optional): Defaults to None:
            :meth:`default_gan_loss`, here the vanilla
            :class:`~mmamp.models.losses.gan_loss.GANLoss` of weight 0.001
            (equation 3).
        pixel_loss (str): ``'mse'`` (equation 4) or ``'l1'``. Defaults to
            ``'mse'``.
        pixel_weight (float): Its weight; 0 leaves it out, as the paper does
            where it has a perceptual loss. Defaults to 1.
        perceptual_loss (dict or nn.Module, optional): Such as
            :class:`~mmamp.models.losses.perceptual_loss.PerceptualLoss`.
            Defaults to None.
        **kwargs: Arguments of :class:`~mmamp.models.base.base_gan.BaseGAN`.

    Raises:
        ValueError: If ``pixel_loss`` is unknown, a weight is negative, or
            results are not of the size of the wanted images.

    Examples:
        >>> model = dict(
        ...     type='mmamp.SRGAN',
        ...     generator=dict(type='mmamp.SRResNet', scale=4),
        ...     discriminator=dict(
        ...         type='mmamp.SRGANDiscriminator', image_size=96))
    """

    def __init__(
        self,
        generator: dict[str, Any] | nn.Module,
        discriminator: dict[str, Any] | nn.Module,
        gan_loss: dict[str, Any] | nn.Module | None = None,
        pixel_loss: str = 'mse',
        pixel_weight: float = 1.0,
        perceptual_loss: dict[str, Any] | nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator, discriminator, **kwargs)
        self.pixel_loss = check_choice('pixel_loss', pixel_loss, _PIXEL_LOSSES)
        self.pixel_weight = check_weight('pixel_weight', pixel_weight)
        self.gan_loss = built('gan_loss', gan_loss or self.default_gan_loss())
        self.perceptual_loss: nn.Module | None = None
        if perceptual_loss is not None:
            self.perceptual_loss = built('perceptual_loss', perceptual_loss)

    def default_gan_loss(self) -> dict[str, Any]:
        """Return the config of the adversarial loss if none is given.

        Returns:
            dict: Of a registered loss.
        """
        return dict(type='mmamp.GANLoss', gan_type='vanilla', loss_weight=1e-3)

    def disc_loss(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Return losses for telling photographs from results."""
        real = self.images_of(data_samples, 'gt_img')
        with torch.no_grad():
            fake = self.generator(inputs)
        return self._disc_gan_loss(real, fake)

    def _disc_gan_loss(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        pred_fake = self.discriminator(fake)
        pred_real = self.discriminator(real)
        return dict(
            loss_disc_fake=self.gan_loss(pred_fake, False, is_disc=True),
            loss_disc_real=self.gan_loss(pred_real, True, is_disc=True),
        )

    def gen_loss(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Return losses for being close to what is wanted and looking real."""
        real = self.images_of(data_samples, 'gt_img')
        fake = self.generator(inputs)
        if fake.shape != real.shape:
            raise ValueError(
                f'results are of shape {tuple(fake.shape)}, but '
                f"data_samples['gt_img'] is of {tuple(real.shape)}: the "
                "generator's scale is not that of the data"
            )
        losses = dict(loss_gen=self._gen_gan_loss(real, fake))
        if self.pixel_weight > 0:
            distance = _PIXEL_LOSSES[self.pixel_loss]
            pixel = distance(fake.float(), real)
            losses['loss_pixel'] = self.pixel_weight * pixel
        if self.perceptual_loss is not None:
            losses['loss_perceptual'] = self.perceptual_loss(fake, real)
        return losses

    def _gen_gan_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        loss: Tensor = self.gan_loss(self.discriminator(fake), True)
        return loss
