"""SRGAN (Ledig et al., 2017)."""

from typing import Any

from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.nn import functional as F

from mmamp.compat.mmengine import accumulative_counts
from mmamp.models.losses import PerceptualLoss
from mmamp.registry import MODELS, built
from mmamp.utils.checks import check_int

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
        pixel_updates (int): For so many of its first updates the generator
            learns from the pixel loss alone, before the other losses join
            in: the first stage of the paper's training (section 3.2), as part
            of the same run. The discriminator learns from the beginning.
            Defaults to 0: all losses at once.
        **kwargs: Arguments of :class:`~mmamp.models.base.base_gan.BaseGAN`.

    Raises:
        ValueError: If ``pixel_loss`` is unknown, a weight is negative,
            ``pixel_updates`` is no int from 0 on or there is no pixel loss
            for them, or results are not of the size of the wanted images.

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
        pixel_updates: int = 0,
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
        self.pixel_updates = check_int('pixel_updates', pixel_updates, low=0)
        if pixel_updates and not pixel_weight:
            raise ValueError(
                f'pixel_updates={pixel_updates}, but pixel_weight=0: the '
                'generator would learn from nothing. Give the pixel loss a '
                'weight, or leave pixel_updates out'
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

    def _is_pixel_stage(self, optimizer_wrapper: OptimWrapper) -> bool:
        if not self.pixel_updates:
            return False
        counts = accumulative_counts(optimizer_wrapper)
        update: int = optimizer_wrapper.inner_count // counts
        return update < self.pixel_updates

    def panels(self, data: dict[str, Any]) -> dict[str, Tensor]:
        """Return pictures to look at, bicubic enlargements among them.

        Args:
            data (dict): A batch, as the data loader gives it.

        Returns:
            dict[str, Tensor]: uint8 images of shape (N, C, H, W): sources,
            what bicubic interpolation makes of them, results, those of the
            average if there is one, and what was wanted.
        """
        panels = super().panels(data)
        source = panels.pop('source')
        size = panels['output'].shape[-2:]
        return dict(source=source, bicubic=enlarged(source, size), **panels)

    def _resemble(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        losses = super()._resemble(real, fake)
        if self.perceptual_loss is not None:
            losses['loss_perceptual'] = self.perceptual_loss(fake, real)
        return losses


def enlarged(images: Tensor, size: tuple[int, ...]) -> Tensor:
    """Enlarge images by bicubic interpolation, what others are held against.

    Args:
        images (Tensor): uint8 of shape (N, C, h, w).
        size (tuple[int, ...]): Height and width wanted.

    Returns:
        Tensor: uint8 of shape (N, C, H, W).
    """
    large = F.interpolate(images.float(), size, mode='bicubic')
    return large.round().clamp(0, 255).byte()
