"""An image to another image, learnt from pairs."""

from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn
from torch.nn import functional as F

from mmamp.errors import UsageError
from mmamp.models.base.batch_fit import Passage, Shape
from mmamp.registry import built
from mmamp.utils.checks import check_choice, check_weight

from .image_translation import ImageTranslationGAN

_PIXEL_LOSSES = {'l1': F.l1_loss, 'mse': F.mse_loss}


class PairedTranslationGAN(ImageTranslationGAN):
    """What GANs have in common that know the wanted result of each image.

    Sources are ``inputs``, wanted results ``data_samples['gt_img']``. The
    generator learns to pass as real, and to be close to what is wanted.

    Args:
        generator (dict or nn.Module): The generator.
        discriminator (dict or nn.Module): The discriminator.
        gan_loss (dict or nn.Module): The adversarial loss.
        pixel_loss (str): ``'mse'`` or ``'l1'``.
        pixel_weight (float): Its weight; 0 leaves it out.
        **kwargs: Arguments of :class:`~mmamp.models.base.base_gan.BaseGAN`.

    Raises:
        ValueError: If ``pixel_loss`` is unknown, or the weight is negative.
    """

    def __init__(
        self,
        generator: dict[str, Any] | nn.Module,
        discriminator: dict[str, Any] | nn.Module,
        gan_loss: dict[str, Any] | nn.Module,
        pixel_loss: str,
        pixel_weight: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator, discriminator, **kwargs)
        self.pixel_loss = check_choice('pixel_loss', pixel_loss, _PIXEL_LOSSES)
        self.pixel_weight = check_weight('pixel_weight', pixel_weight)
        self.gan_loss = built('gan_loss', gan_loss)

    def passages(self, inputs: Tensor, data_samples: Any) -> list[Passage]:
        """Return that results are made of sources, and told from others."""
        source = tuple(inputs.shape[1:])
        wanted = tuple(self.images_of(data_samples, 'gt_img').shape[1:])
        return [
            Passage('generator', source, wanted),
            Passage('discriminator', self._seen(source, wanted)),
        ]

    def _seen(self, source: Shape, wanted: Shape) -> Shape:
        """Return the shape of what the discriminator sees."""
        return wanted

    def disc_loss(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Return losses for telling wanted images from results."""
        real = self.images_of(data_samples, 'gt_img')
        with torch.no_grad():
            fake = self.generator(inputs)
        _check_result(fake, real)
        return self._tell(inputs, real, fake)

    def gen_loss(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Return losses for passing as real, and for being as wanted."""
        real = self.images_of(data_samples, 'gt_img')
        fake = self.generator(inputs)
        _check_result(fake, real)
        if self._is_pixel_stage(optimizer_wrapper):
            return self._pixel_losses(real, fake)
        return dict(
            loss_gen=self._pass(inputs, real, fake),
            **self._resemble(real, fake),
        )

    def _is_pixel_stage(self, optimizer_wrapper: OptimWrapper) -> bool:
        """Tell whether the generator learns from pixels alone as yet."""
        return False

    def _tell(
        self, source: Tensor, real: Tensor, fake: Tensor
    ) -> dict[str, Tensor]:
        """Return the discriminator's losses."""
        pred_fake = self._discriminate(source, fake)
        pred_real = self._discriminate(source, real)
        return dict(
            loss_disc_fake=self.gan_loss(pred_fake, False, is_disc=True),
            loss_disc_real=self.gan_loss(pred_real, True, is_disc=True),
        )

    def _pass(self, source: Tensor, real: Tensor, fake: Tensor) -> Tensor:
        """Return the generator's adversarial loss."""
        loss: Tensor = self.gan_loss(self._discriminate(source, fake), True)
        return loss

    def _resemble(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """Return the generator's losses of not being what is wanted."""
        return self._pixel_losses(real, fake)

    def _pixel_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        if self.pixel_weight == 0:
            return {}
        pixel = _PIXEL_LOSSES[self.pixel_loss](fake.float(), real)
        return dict(loss_pixel=self.pixel_weight * pixel)

    def _discriminate(self, source: Tensor, image: Tensor) -> Tensor:
        """Run the discriminator on an image, whatever its source."""
        pred: Tensor = self.discriminator(image)
        return pred


def _check_result(fake: Tensor, real: Tensor) -> None:
    """Refuse results that are not of the size of what is wanted."""
    if fake.shape != real.shape:
        raise UsageError(
            f'results are of shape {tuple(fake.shape)}, but '
            f"data_samples['gt_img'] is of {tuple(real.shape)}: the "
            "generator's scale is not that of the data"
        )
