"""pix2pix (Isola et al., 2017)."""

from typing import Any

import torch
from torch import Tensor, nn

from mmamp.models.base.batch_fit import Shape
from mmamp.registry import MODELS

from .paired_translation import PairedTranslationGAN


@MODELS.register_module()
class Pix2Pix(PairedTranslationGAN):
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
        pixel_weight (float): Weight of the L1 loss, the paper's lambda; 0
            leaves it out. Defaults to 100.
        **kwargs: Arguments of :class:`~mmamp.models.base.base_gan.BaseGAN`.

    Raises:
        ValueError: If ``pixel_weight`` is negative, or results are not of the
            size of the wanted images.

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
        super().__init__(
            generator,
            discriminator,
            gan_loss or dict(type='mmamp.GANLoss', gan_type='vanilla'),
            'l1',
            pixel_weight,
            **kwargs,
        )

    def _seen(self, source: Shape, wanted: Shape) -> Shape:
        return (source[0] + wanted[0], *wanted[1:])

    def _tell(
        self, source: Tensor, real: Tensor, fake: Tensor
    ) -> dict[str, Tensor]:
        losses = super()._tell(source, real, fake)
        return {name: loss / 2 for name, loss in losses.items()}

    def _discriminate(self, source: Tensor, image: Tensor) -> Tensor:
        pred: Tensor = self.discriminator(torch.cat([source, image], 1))
        return pred
