"""CycleGAN (Zhu et al., 2017)."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmamp.models.base.batch_fit import Passage
from mmamp.registry import MODELS, built
from mmamp.utils.checks import check_weight

from .image_pool import ImagePool
from .image_translation import ImageTranslationGAN

POOL_A, POOL_B = range(2)
"""Streams of random numbers, so that no two uses see the same."""


@MODELS.register_module()
class CycleGAN(ImageTranslationGAN):
    """Image to image between two domains, and back, without pairs.

    Zhu, Park, Isola and Efros, "Unpaired Image-to-Image Translation using
    Cycle-Consistent Adversarial Networks", ICCV 2017, equations 1 to 3 with
    least squares, and the identity loss of section 5.2. Images of domain A
    are ``inputs``, those of domain B ``data_samples['target_img']``; results
    are those of A in B.

    The networks are ``generator_ab``, ``generator_ba``, ``discriminator_a``
    and ``discriminator_b``. A discriminator sees a pool of the results of
    some time (:class:`~mmamp.models.gans.image_pool.ImagePool`), and its loss
    is halved (section 4 there, and appendix 7.1).

    Args:
        generator (dict): Each of the generators, such as
            :class:`~mmamp.models.archs.cyclegan.ResNetGenerator`.
        discriminator (dict): Each of the discriminators, such as
            :class:`~mmamp.models.archs.pix2pix.PatchDiscriminator`.
        gan_loss (dict or nn.Module, optional): Defaults to None:
            :class:`~mmamp.models.losses.gan_loss.GANLoss` with ``'lsgan'``.
        cycle_weight (float): Weight of the cycle losses, the paper's lambda.
            Defaults to 10.
        identity_weight (float): Weight of the identity losses, as a part of
            ``cycle_weight``; 0 leaves them out. Defaults to 0.5.
        pool_size (int): Images that each pool keeps. Defaults to 50.
        **kwargs: Arguments of :class:`~mmamp.models.base.base_gan.BaseGAN`.

    Raises:
        ValueError: If ``pool_size`` is < 1, or a weight is negative.

    Examples:
        >>> model = dict(
        ...     type='mmamp.CycleGAN',
        ...     generator=dict(type='mmamp.ResNetGenerator'),
        ...     discriminator=dict(
        ...         type='mmamp.PatchDiscriminator',
        ...         in_channels=3,
        ...         norm_cfg=dict(type='IN')))
        >>> optim_wrapper = dict(
        ...     constructor='OptimWrapperConstructor',
        ...     generator=dict(
        ...         modules=['generator_ab', 'generator_ba'],
        ...         optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))),
        ...     discriminator=dict(
        ...         modules=['discriminator_a', 'discriminator_b'],
        ...         optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))))
    """

    networks: ClassVar[dict[str, tuple[str, ...]]] = dict(
        discriminator=('discriminator_a', 'discriminator_b'),
        generator=('generator_ab', 'generator_ba'),
    )
    translator = 'generator_ab'
    directions = dict(a2b='generator_ab', b2a='generator_ba')
    generator_ab: nn.Module
    generator_ba: nn.Module
    discriminator_a: nn.Module
    discriminator_b: nn.Module

    def __init__(
        self,
        generator: dict[str, Any],
        discriminator: dict[str, Any],
        gan_loss: dict[str, Any] | nn.Module | None = None,
        cycle_weight: float = 10.0,
        identity_weight: float = 0.5,
        pool_size: int = 50,
        **kwargs: Any,
    ) -> None:
        super().__init__(generator, discriminator, **kwargs)
        self.gan_loss = built(
            'gan_loss',
            gan_loss or dict(type='mmamp.GANLoss', gan_type='lsgan'),
        )
        self.cycle_weight = check_weight('cycle_weight', cycle_weight)
        self.identity_weight = check_weight('identity_weight', identity_weight)
        self.pool_a = ImagePool(pool_size)
        self.pool_b = ImagePool(pool_size)

    def passages(self, inputs: Tensor, data_samples: Any) -> list[Passage]:
        """Return that images of each domain become such of the other."""
        a = tuple(inputs.shape[1:])
        b = tuple(self.images_of(data_samples, 'target_img').shape[1:])
        return [
            Passage('generator_ab', a, (b[0], *a[1:])),
            Passage('generator_ba', b, (a[0], *b[1:])),
            Passage('discriminator_a', a),
            Passage('discriminator_b', b),
        ]

    def disc_loss(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Return losses for telling results from real images, by domain."""
        real_a, real_b = inputs, self.images_of(data_samples, 'target_img')
        num = len(inputs)
        position = self.position('discriminator', num, optimizer_wrapper)
        # The generators' turn comes later, with other weights: its results
        # are no part of this update, and these need no gradient.
        with torch.no_grad():
            fake_b = self.generator_ab(real_a)
            fake_a = self.generator_ba(real_b)
        fake_a = self.pool_a(fake_a, self.random(num, POOL_A, position))
        fake_b = self.pool_b(fake_b, self.random(num, POOL_B, position))
        return dict(
            loss_disc_a=self._tell(self.discriminator_a, real_a, fake_a),
            loss_disc_b=self._tell(self.discriminator_b, real_b, fake_b),
        )

    def _tell(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor
    ) -> Tensor:
        pred_fake, pred_real = discriminator(fake), discriminator(real)
        loss: Tensor = (
            self.gan_loss(pred_fake, False, is_disc=True)
            + self.gan_loss(pred_real, True, is_disc=True)
        ) / 2
        return loss

    def gen_loss(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Return losses for passing as real and leading back to the source."""
        real_a, real_b = inputs, self.images_of(data_samples, 'target_img')
        fake_b, fake_a = self.generator_ab(real_a), self.generator_ba(real_b)
        losses = dict(
            loss_gen_ab=self.gan_loss(self.discriminator_b(fake_b), True),
            loss_gen_ba=self.gan_loss(self.discriminator_a(fake_a), True),
            loss_cycle_a=self._cycle(self.generator_ba(fake_b), real_a),
            loss_cycle_b=self._cycle(self.generator_ab(fake_a), real_b),
        )
        if self.identity_weight > 0:
            # What is in the wanted domain already should stay as it is.
            same_a, same_b = (
                self.generator_ba(real_a),
                self.generator_ab(real_b),
            )
            losses.update(
                loss_identity_a=self._identity(same_a, real_a),
                loss_identity_b=self._identity(same_b, real_b),
            )
        return losses

    def _cycle(self, result: Tensor, image: Tensor) -> Tensor:
        return self.cycle_weight * F.l1_loss(result.float(), image)

    def _identity(self, result: Tensor, image: Tensor) -> Tensor:
        return self.identity_weight * self._cycle(result, image)
