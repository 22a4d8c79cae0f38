"""pix2pix (Isola et al., 2017)."""

from typing import Any

import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmamp.registry import MODELS, built
from mmamp.utils.checks import check_weight

from .image_translation import ImageTranslationGAN


@MODELS.register_module()
class Pix2Pix(ImageTranslationGAN):
    """Image to image, learnt from pairs.

    Isola, Zhu, Zhou and Efros, "Image-to-Image Translation with Conditional
    Adversarial Networks", CVPR 2017, equations 1 to 4. The discriminator
    sees source and result, one behind the other, and its loss is halved
    (section 3.3). Sources are ``inputs``, wanted results
    ``data_samples['gt_img']``.

    Args:
        generator (dict or nn.Module): Such as
            :class:`~mmamp.models.archs.pix2pix.UNetGenerator`.
        discriminator (dict or nn.Module): Such as
            :class:`~mmamp.models.archs.pix2pix.PatchDiscriminator`.
        gan_loss (dict or nn.Module, optional): Defaults to None: the
            vanilla :class:`~mmamp.models.losses.gan_loss.GANLoss`.
        pixel_weight (float): Weight of the L1 loss, the paper's lambda.
            Defaults to 100.
        **kwargs: Arguments of :class:`~mmamp.models.base.base_gan.BaseGAN`.

    Raises:
        ValueError: If ``pixel_weight`` is negative.

    Examples:
        >>> model = dict(
        ...     type='mmamp.Pix2Pix',
        ...     generator=dict(type='mmamp.UNetGenerator'),
        ...     discriminator=dict(
        ...         type='mmamp.PatchDiscriminator', in_channels=6))
    """

    def __init__(
        self,
        generator: dict[str, Any] | nn.Module,
        discriminator: dict[str, Any] | nn.Module,
        gan_loss: dict[str, Any] | nn.Module | None = None,
        pixel_weight: float = 100.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator, discriminator, **kwargs)
        self.gan_loss = built(
            'gan_loss',
            gan_loss or dict(type='mmamp.GANLoss', gan_type='vanilla'),
        )
        self.pixel_weight = check_weight('pixel_weight', pixel_weight)

    def disc_loss(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Return losses for telling real pairs from those with a result."""
        target = self.images_of(data_samples, 'gt_img')
        with torch.no_grad():
            fake = self.generator(inputs)
        pred_fake = self._discriminate(inputs, fake)
        pred_real = self._discriminate(inputs, target)
        return dict(
            loss_disc_fake=self.gan_loss(pred_fake, False, is_disc=True) / 2,
            loss_disc_real=self.gan_loss(pred_real, True, is_disc=True) / 2,
        )

    def gen_loss(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Return losses for passing as real, and for being as wanted."""
        target = self.images_of(data_samples, 'gt_img')
        fake = self.generator(inputs)
        pixel = F.l1_loss(fake.float(), target)
        return dict(
            loss_gen=self.gan_loss(self._discriminate(inputs, fake), True),
            loss_pixel=self.pixel_weight * pixel,
        )

    def _discriminate(self, source: Tensor, result: Tensor) -> Tensor:
        pred: Tensor = self.discriminator(torch.cat([source, result], 1))
        return pred
