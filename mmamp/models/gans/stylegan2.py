"""StyleGAN2's training: styles of two latents in one image."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor, nn

from mmamp.randomness.samples import SampleRandom
from mmamp.registry import MODELS
from mmamp.utils.checks import check_within

from .image_gan import ImageGAN, arguments


@MODELS.register_module()
class StyleGAN2(ImageGAN):
    """An :class:`~mmamp.models.gans.image_gan.ImageGAN` with style mixing.

    Karras et al., "A Style-Based Generator Architecture for Generative
    Adversarial Networks", CVPR 2019, section 3.1, as StyleGAN2 (CVPR 2020)
    keeps it: in training, from a random layer on, a second latent takes over.
    Latents and layers are a function of the run's seed and the sample, as all
    of ImageGAN's; the noise of the layers is so of the rank and micro-batch.
    Samples are made without mixing and with fixed noise; ``truncation`` is
    the paper's psi.

    Args:
        generator (dict or nn.Module): Such as
            :class:`~mmamp.models.archs.stylegan2.StyleGAN2Generator`: called
            as ``generator(noise, mixing=..., crossover=...,
            generator=...)``, with the methods ``mapping(noise, mixing=...,
            crossover=...)`` and ``synthesis(w, generator=...)`` and the
            attribute ``num_layers``. With ``num_classes`` labels follow the
            noise; an image's two latents have the same.
        discriminator (dict or nn.Module): The discriminator.
        noise_size (int): Length of the latent vector. Defaults to 512.
        mixing_prob (float): Probability that a sample is mixed, in [0, 1].
            Defaults to 0.9.
        **kwargs: Arguments of ImageGAN. The paper's are the logistic loss,
            :class:`~mmamp.models.losses.gradient_penalties.R1` every 16
            updates and :class:`~mmamp.models.losses.path_length.PathLength`
            every 4.

    Raises:
        ValueError: If ``mixing_prob`` is out of its range, or the generator
            has not what it is called with.

    Examples:
        >>> model = dict(
        ...     type='mmamp.StyleGAN2',
        ...     generator=dict(type='mmamp.StyleGAN2Generator', image_size=64),
        ...     discriminator=dict(
        ...         type='mmamp.StyleGAN2Discriminator', image_size=64),
        ...     gan_loss=dict(type='mmamp.GANLoss', gan_type='logistic'),
        ...     disc_regularizers=[dict(type='mmamp.R1', interval=16)],
        ...     gen_regularizers=[dict(type='mmamp.PathLength')],
        ...     ema_config=dict(momentum=0.002))
    """

    def __init__(
        self,
        generator: dict[str, Any] | nn.Module,
        discriminator: dict[str, Any] | nn.Module,
        noise_size: int = 512,
        mixing_prob: float = 0.9,
        **kwargs: Any,
    ) -> None:
        check_within('mixing_prob', mixing_prob, 0, 1)
        super().__init__(generator, discriminator, noise_size, **kwargs)
        self.mixing_prob = mixing_prob
        two_part: Any = self.generator
        needed = ('num_layers', 'mapping', 'synthesis')
        missing = [x for x in needed if not hasattr(two_part, x)]
        if missing:
            raise ValueError(
                f'StyleGAN2 needs a generator with {", ".join(needed)}, but '
                f'{type(two_part).__name__} has no {", ".join(missing)}'
            )
        self.num_layers: int = two_part.num_layers

    def _mixed_latents(
        self, random: SampleRandom
    ) -> tuple[Tensor, Tensor | None, dict[str, Tensor]]:
        """Draw noise, labels, other noise, and the layer where it begins."""
        noise, labels = self.draw_latents(random)
        if self.mixing_prob == 0:
            return noise, labels, {}
        mixing, _ = self.draw_latents(random)
        # The first layer is never the other's, or nothing were mixed.
        crossover = 1 + random.integers(self.num_layers - 1)
        is_mixed = random.uniform() < self.mixing_prob
        crossover = crossover.where(is_mixed, self.num_layers)
        return noise, labels, dict(mixing=mixing, crossover=crossover)

    def _generate(self, random: SampleRandom) -> tuple[Tensor, Tensor | None]:
        noise, labels, mixing = self._mixed_latents(random)
        images = self.generator(
            *arguments(noise, labels), **mixing, generator=random.generator()
        )
        return images, labels

    def _map(self, generator: Any, random: SampleRandom) -> Tensor:
        noise, labels, mixing = self._mixed_latents(random)
        w: Tensor = generator.mapping(*arguments(noise, labels), **mixing)
        return w

    def _synthesis(
        self, generator: Any, random: SampleRandom
    ) -> Callable[[Tensor], Tensor]:
        return partial(generator.synthesis, generator=random.generator())
