"""SRGAN (Ledig et al., 2017)."""

from typing import Any

from torch import Tensor, nn

from mmamp.models.losses import PerceptualLoss
from mmamp.registry import MODELS, built

from .paired_translation import PairedTranslationGAN


@MODELS.register_module()
class SRGAN(PairedTranslationGAN):
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
        super().__init__(
            generator,
            discriminator,
            gan_loss or self.default_gan_loss(),
            pixel_loss,
            pixel_weight,
            **kwargs,
        )
        self.perceptual_loss: nn.Module | None = None
        if perceptual_loss is not None:
            self.perceptual_loss = built('perceptual_loss', perceptual_loss)
            if isinstance(self.perceptual_loss, PerceptualLoss):
                self.perceptual_loss.in_range_of(self.data_preprocessor)

    def default_gan_loss(self) -> dict[str, Any]:
        """Return the config of the adversarial loss if none is given.

        Returns:
            dict: Of a registered loss.
        """
        return dict(type='mmamp.GANLoss', gan_type='vanilla', loss_weight=1e-3)

    def _resemble(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        losses = super()._resemble(real, fake)
        if self.perceptual_loss is not None:
            losses['loss_perceptual'] = self.perceptual_loss(fake, real)
        return losses
