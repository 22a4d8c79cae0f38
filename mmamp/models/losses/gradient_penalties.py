"""Penalties on gradients. They know nothing of mixed precision.

Each takes a ``grad`` with the signature of ``torch.autograd.grad`` that
returns true gradients: the optimizer wrapper's under AMP, else torch's own.
"""

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from mmamp.randomness.samples import SampleRandom, uniform
from mmamp.registry import MODELS

from .regularizer import Grad, Regularizer


class DiscriminatorPenalty(Regularizer):
    """A penalty on the discriminator's gradient with respect to images.

    Args:
        weight (float): Of the term. Defaults to 10.
        interval (int): As in :class:`Regularizer`. Defaults to 1.
        force_fp32 (bool): As there. Defaults to False.
    """

    def __init__(
        self,
        weight: float = 10.0,
        interval: int = 1,
        force_fp32: bool = False,
    ) -> None:
        super().__init__(weight, interval, force_fp32)

    def forward(
        self,
        discriminator: Callable[..., Tensor],
        real: tuple[Tensor, ...],
        fake: tuple[Tensor, ...],
        grad: Grad = torch.autograd.grad,
        random: SampleRandom | None = None,
    ) -> Tensor:
        """Compute the weighted penalty on one micro-batch.

        Args:
            discriminator (Callable): Takes images, and labels if it is
                conditional; returns logits.
            real (tuple[Tensor]): Real images of shape (N, C, H, W) and what
                else the discriminator takes with them.
            fake (tuple[Tensor]): The same for generated images, of the same
                shape.
            grad (Callable): With its signature. Defaults to
                ``torch.autograd.grad``.
            random (SampleRandom, optional): Where random numbers come
                from. Defaults to None: torch's.

        Returns:
            Tensor: Scalar, float32.
        """
        images, *others = self.points(real, fake, random)
        images = images.detach().float().requires_grad_()
        with self.precision(images, discriminator):
            logits = discriminator(images, *others)
            (gradient,) = grad(logits.sum(), images, create_graph=True)
        # In float32 from here on, whatever the network's precision.
        with torch.autocast(images.device.type, enabled=False):
            return self.weighted(self.penalty(gradient.flatten(1)))

    @abstractmethod
    def points(
        self,
        real: tuple[Tensor, ...],
        fake: tuple[Tensor, ...],
        random: SampleRandom | None,
    ) -> tuple[Tensor, ...]:
        """Return the images at which the gradient is taken.

        Args:
            real (tuple[Tensor]): Real images of shape (N, C, H, W) and what
                else the discriminator takes with them.
            fake (tuple[Tensor]): The same for generated images, of the same
                shape.
            random (SampleRandom or None): Where random numbers come from;
                None is torch's.

        Returns:
            tuple[Tensor]: Images of that shape, and what goes with them.
        """

    @abstractmethod
    def penalty(self, gradient: Tensor) -> Tensor:
        """Compute the penalty, not weighted.

        Args:
            gradient (Tensor): float32, of shape (N, C * H * W).

        Returns:
            Tensor: A scalar.
        """


class _ZeroCentred(DiscriminatorPenalty):
    def penalty(self, gradient: Tensor) -> Tensor:
        return gradient.square().sum(1).mean() / 2


class _OneCentred(DiscriminatorPenalty):
    def penalty(self, gradient: Tensor) -> Tensor:
        norm: Tensor = gradient.norm(dim=1)
        return (norm - 1).square().mean()


@MODELS.register_module()
class R1(_ZeroCentred):
    r"""R1: :math:`\frac{\gamma}{2} E\|\nabla D(x)\|^2` on real images.

    Mescheder, Geiger and Nowozin, "Which Training Methods for GANs do
    actually Converge?", ICML 2018, equation 9.

    Args:
        weight (float): The paper's gamma. Defaults to 10.
        interval (int): Updates from one computation to the next; StyleGAN2
            takes 16. Defaults to 1.
        force_fp32 (bool): Whether the discriminator is run in float32 for it.
            Defaults to False.

    Examples:
        >>> disc_regularizers = [
        ...     dict(type='mmamp.R1', weight=10., interval=16)]
    """

    def points(
        self,
        real: tuple[Tensor, ...],
        fake: tuple[Tensor, ...],
        random: SampleRandom | None,
    ) -> tuple[Tensor, ...]:
        """Return the real images."""
        return real


@MODELS.register_module()
class R2(R1):
    """R2: as :class:`R1`, on generated images (equation 10 there).

    Args:
        weight (float): The paper's gamma. Defaults to 10.
        interval (int): Updates from one computation to the next. Defaults to
            1.
        force_fp32 (bool): Whether the discriminator is run in float32 for it.
            Defaults to False.

    Examples:
        >>> disc_regularizers = [dict(type='mmamp.R2', weight=10.)]
    """

    def points(
        self,
        real: tuple[Tensor, ...],
        fake: tuple[Tensor, ...],
        random: SampleRandom | None,
    ) -> tuple[Tensor, ...]:
        """Return the generated images."""
        return fake


@MODELS.register_module()
class WGANGP(_OneCentred):
    r"""WGAN-GP: :math:`\lambda E(\|\nabla D(\hat x)\| - 1)^2`.

    On random points between a real and a generated image. Gulrajani et al.,
    "Improved Training of Wasserstein GANs", NeurIPS 2017, equation 3. A
    conditional discriminator gets the real image's label.

    Args:
        weight (float): The paper's lambda. Defaults to 10.
        interval (int): Updates from one computation to the next. Defaults to
            1.
        force_fp32 (bool): Whether the discriminator is run in float32 for it.
            Defaults to False.

    Examples:
        >>> disc_regularizers = [dict(type='mmamp.WGANGP', weight=10.)]
    """

    def points(
        self,
        real: tuple[Tensor, ...],
        fake: tuple[Tensor, ...],
        random: SampleRandom | None,
    ) -> tuple[Tensor, ...]:
        """Return images between the real and the generated ones."""
        images, *others = real
        between = torch.lerp(
            images.float(), fake[0].float(), _mixing(images, random)
        )
        return (between, *others)


@MODELS.register_module()
class DRAGAN(_OneCentred):
    r"""DRAGAN: as :class:`WGANGP`, near real images.

    Between an image and itself with uniform noise of half the batch's
    standard deviation. Kodali et al., "On Convergence and Stability of GANs",
    2017, and their published code.

    Args:
        weight (float): The paper's lambda. Defaults to 10.
        interval (int): Updates from one computation to the next. Defaults to
            1.
        force_fp32 (bool): Whether the discriminator is run in float32 for it.
            Defaults to False.

    Examples:
        >>> disc_regularizers = [dict(type='mmamp.DRAGAN', weight=10.)]
    """

    def points(
        self,
        real: tuple[Tensor, ...],
        fake: tuple[Tensor, ...],
        random: SampleRandom | None,
    ) -> tuple[Tensor, ...]:
        """Return images around the real ones."""
        images, *others = real
        images = images.float()
        noise = uniform(random, images.shape, images.device)
        offset = 0.5 * images.std() * noise
        return (images + _mixing(images, random) * offset, *others)


def _mixing(images: Tensor, random: SampleRandom | None) -> Tensor:
    """Draw one uniform number an image."""
    shape = (len(images), *[1] * (images.dim() - 1))
    return uniform(random, shape, images.device)
