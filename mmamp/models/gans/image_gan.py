"""Noise, and maybe a label, to an image."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmengine.dist import get_world_size
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from mmamp.errors import UsageError
from mmamp.models.augment.augmentation import (
    AugmentedDiscriminator,
    built_augmentation,
)
from mmamp.models.base.base_gan import BaseGAN
from mmamp.models.base.batch_fit import Passage
from mmamp.models.base.compiled import eager
from mmamp.models.base.in_evaluation import check_mode, in_evaluation
from mmamp.precision.penalty_names import named_penalty
from mmamp.randomness.samples import SampleRandom
from mmamp.registry import MODELS, built
from mmamp.utils.checks import check_truncation
from mmamp.utils.listing import listed
from mmamp.utils.modules import unwrap
from mmamp.utils.protocols import TruncatesItself
from mmamp.utils.suggest import arguments_of

from .terms import (
    build_regularizers,
    check_regularizers,
    grad_of,
    penalties,
    weight_terms,
)

DISCRIMINATOR, GENERATOR, SAMPLES, DISC_PENALTY, GEN_PENALTY, STANDING = range(
    6
)
"""Streams of random numbers, so that no two uses see the same."""
REAL_AUGMENT, FAKE_AUGMENT, GEN_AUGMENT, PENALTY_AUGMENT = range(16, 20)
"""Those of what the discriminator's images go through."""


@MODELS.register_module()
class ImageGAN(BaseGAN):
    """A GAN from noise, and class labels where there are some, to images.

    The generator is called as ``generator(noise)`` or ``generator(noise,
    labels)``, the discriminator as ``discriminator(images)`` or
    ``discriminator(images, labels)``. Latents are a function of (seed,
    network, update, sample of the update): ranks never share them, any number
    of ranks and micro-batches draws the same, and a resumed run draws those
    it would have drawn.

    Args:
        generator (dict or nn.Module): The generator.
        discriminator (dict or nn.Module): The discriminator.
        noise_size (int): Length of the latent vector.
        num_classes (int, optional): Number of classes; real labels are then
            read from ``data_samples['gt_label']``. Networks that have such an
            argument, and are not given it, get it. Defaults to None:
            unconditional.
        gan_loss (dict or nn.Module, optional): Defaults to None: the
            vanilla :class:`~mmamp.models.losses.gan_loss.GANLoss`.
        disc_regularizers (list[dict or nn.Module]): Such as
            :class:`~mmamp.models.losses.gradient_penalties.R1`; their
            gradients are the optimizer wrapper's, true in every precision.
            One of weights alone, such as
            :class:`~mmamp.models.losses.orthogonality.Orthogonality`, is for
            either side. Defaults to none.
        gen_regularizers (list[dict or nn.Module]): Such as
            :class:`~mmamp.models.losses.path_length.PathLength`, for a
            generator with the methods ``mapping(noise)`` (and labels, if it
            is conditional) and ``synthesis(latents)``. Defaults to none.
        truncation (float, optional): How evaluation and samples trade variety
            for quality; training never does. Of a generator that
            ``truncates_itself``, such as
            :class:`~mmamp.models.archs.stylegan2.StyleGAN2Generator`, it is
            the keyword ``truncation``: psi, where 1 is none. Of others it is
            the threshold beyond which numbers of the noise are drawn again
            (Brock et al., "Large Scale GAN Training for High Fidelity Natural
            Image Synthesis", ICLR 2019, section 3.1). Defaults to None: none.
        augment (dict or nn.Module, optional): What all images go through on
            their way to the discriminator, such as
            :class:`~mmamp.models.augment.ada.ADA` or
            :class:`~mmamp.models.augment.diff_augment.DiffAugment`. Penalties
            differentiate through it. Defaults to None.
        **kwargs: Arguments of :class:`~mmamp.models.base.base_gan.BaseGAN`.

    Raises:
        ValueError: If the generator has not what its regularizers need, or
            ``truncation`` is not what it can be.
        UsageError: If the networks are not made for the images or labels of
            the data.

    Examples:
        >>> model = dict(
        ...     type='mmamp.ImageGAN',
        ...     noise_size=100,
        ...     generator=dict(type='mmamp.DCGANGenerator', image_size=32),
        ...     discriminator=dict(
        ...         type='mmamp.DCGANDiscriminator', image_size=32),
        ...     ema_config=dict(momentum=0.001))
    """

    def __init__(
        self,
        generator: dict[str, Any] | nn.Module,
        discriminator: dict[str, Any] | nn.Module,
        noise_size: int,
        num_classes: int | None = None,
        gan_loss: dict[str, Any] | nn.Module | None = None,
        disc_regularizers: Sequence[dict[str, Any] | nn.Module] = (),
        gen_regularizers: Sequence[dict[str, Any] | nn.Module] = (),
        truncation: float | None = None,
        augment: dict[str, Any] | nn.Module | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            _with_classes(generator, num_classes),
            _with_classes(discriminator, num_classes),
            **kwargs,
        )
        self.noise_size = noise_size
        self.num_classes = num_classes
        self.truncation = truncation
        self._check_classes()
        if gan_loss is None:
            gan_loss = dict(type='mmamp.GANLoss', gan_type='vanilla')
        self.gan_loss = built('gan_loss', gan_loss)
        self.disc_regularizers = build_regularizers(
            'disc_regularizers', disc_regularizers
        )
        self.gen_regularizers = build_regularizers(
            'gen_regularizers', gen_regularizers
        )
        check_regularizers(
            self.disc_regularizers,
            self.gen_regularizers,
            self.discriminator,
            self.generator,
        )
        self.augment = built_augmentation(augment, self.gan_loss)
        self._evaluated = 0

    def _check_classes(self) -> None:
        """Refuse networks that have other classes than the model."""
        for name in ('generator', 'discriminator'):
            network: Any = unwrap(getattr(self, name))
            known = getattr(network, 'num_classes', self.num_classes)
            if known != self.num_classes:
                raise ValueError(
                    f'num_classes={self.num_classes}, but {name} '
                    f'({type(network).__name__}) has num_classes={known}: '
                    'say it of the model alone, or the same of all three'
                )

    def passages(self, inputs: Tensor, data_samples: Any) -> list[Passage]:
        """Return that images are made of noise, and told from those."""
        shape = tuple(inputs.shape[1:])
        return [
            Passage('generator', result=shape),
            Passage('discriminator', source=shape),
        ]

    def check_batch(self, inputs: Tensor, data_samples: Any) -> None:
        """Refuse a batch that the networks are not made for.

        Args:
            inputs (Tensor): Of shape (N, C, H, W), normalised.
            data_samples (Any): With ``gt_label``, where there are classes.

        Raises:
            UsageError: If they are made for others; one line.
        """
        super().check_batch(inputs, data_samples)
        if self.num_classes is not None:
            self._check_labels(self._labels(data_samples))

    def needs_classes(self, num: int) -> bool:
        """Tell whether the data have another number of classes."""
        return self.num_classes not in (None, num)

    def check_classes(
        self, labels: Sequence[int], names: Sequence[str], trains: bool
    ) -> None:
        """Refuse data with more classes than the model's; warn of fewer.

        Args:
            labels (Sequence[int]): All that there are in the data, in order.
            names (Sequence[str]): Of the classes.
            trains (bool): Whether the model is trained on them.

        Raises:
            UsageError: If the model has too few.
        """
        num = self.num_classes
        if num is None or not labels:
            return
        text = (
            f'model.num_classes={num}, but the data have {len(names)} classes '
            f'({listed([*map(str, names)], 10)})'
        )
        if labels[-1] >= num:
            raise UsageError(f'{text}: set model.num_classes={len(names)}')
        if trains and len(labels) < num:
            print_log(
                f'{text}, {len(labels)} of which are met: pictures of others '
                'are made, and never learnt; set '
                f'model.num_classes={labels[-1] + 1}',
                logger='current',
                level=logging.WARNING,
            )

    def _check_labels(self, labels: Tensor | None) -> None:
        """Refuse labels that are no classes of the model."""
        if labels is None or self.num_classes is None or not len(labels):
            return
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= self.num_classes:
            wrong = low if low < 0 else high
            raise UsageError(
                f'there is a label {wrong}, but model.num_classes='
                f'{self.num_classes} has the classes 0 to '
                f'{self.num_classes - 1}: set model.num_classes to the number '
                'of classes in the data'
            )

    def _explain(self, error: Exception, data: dict[str, Any]) -> str | None:
        """Say in one line what is wrong with a batch; labels above all."""
        samples = data.get('data_samples') if isinstance(data, dict) else None
        labels = samples.get('gt_label') if isinstance(samples, dict) else None
        if isinstance(labels, Tensor):
            try:
                self._check_labels(labels)
            except UsageError as found:
                return str(found)
        return super()._explain(error, data)

    @property
    def truncation(self) -> float | None:
        """float or None: Psi or threshold; only what may be can be set."""
        return self._truncation

    @truncation.setter
    def truncation(self, value: float | None) -> None:
        self._truncation = check_truncation(value, self._truncates_itself)

    @property
    def _truncates_itself(self) -> bool:
        # A model wrapper knows nothing of it.
        network = unwrap(self.generator)
        return isinstance(network, TruncatesItself) and (
            network.truncates_itself
        )

    @property
    def psi(self) -> float | None:
        """float or None: What the generator truncates by, if it does so."""
        return self.truncation if self._truncates_itself else None

    @property
    def threshold(self) -> float | None:
        """float or None: Where the noise is truncated, if it is."""
        return None if self._truncates_itself else self.truncation

    @property
    def higher_order_networks(self) -> tuple[str, ...]:
        """Return the networks that have regularizers."""
        regularizers = dict(
            discriminator=self.disc_regularizers,
            generator=self.gen_regularizers,
        )
        return tuple(name for name, found in regularizers.items() if found)

    def disc_loss(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Return losses for telling real images from generated ones."""
        real_labels = self._labels(data_samples)
        num = len(inputs)
        position = self.position('discriminator', num, optimizer_wrapper)
        with torch.no_grad():
            fake, fake_labels = self._generate(
                self.random(num, DISCRIMINATOR, position)
            )
        if fake.shape != inputs.shape:
            raise UsageError(
                f'the generator ({type(unwrap(self.generator)).__name__}) '
                f'makes images of shape {tuple(fake.shape[1:])}, but those of '
                f'the data are of {tuple(inputs.shape[1:])}: change the '
                'generator, or what the pipelines of the data make'
            )
        pred_fake = self._discriminate(
            fake, fake_labels, FAKE_AUGMENT, position
        )
        pred_real = self._discriminate(
            inputs, real_labels, REAL_AUGMENT, position
        )
        losses = dict(
            loss_disc_fake=self.gan_loss(pred_fake, False, is_disc=True),
            loss_disc_real=self.gan_loss(pred_real, True, is_disc=True),
            **weight_terms(
                'disc', self.disc_regularizers, self.discriminator, position
            ),
        )
        if self.augment is not None:
            self.augment.observe(pred_real)
            losses.update(self.augment.scalars())
        for name, regularizer in penalties(self.disc_regularizers, position):
            with eager(self.discriminator), named_penalty(name):
                losses[name] = regularizer(
                    self._penalised(num, position),
                    arguments(inputs, real_labels),
                    arguments(fake, fake_labels),
                    grad=grad_of(optimizer_wrapper),
                    random=self.random(num, DISC_PENALTY, position),
                )
        return losses

    def gen_loss(
        self,
        inputs: Tensor,
        data_samples: Any,
        optimizer_wrapper: OptimWrapper,
    ) -> dict[str, Tensor]:
        """Return losses for generated images that should pass as real."""
        position = self.position('generator', len(inputs), optimizer_wrapper)
        fake, labels = self._generate(
            self.random(len(inputs), GENERATOR, position)
        )
        pred = self._discriminate(fake, labels, GEN_AUGMENT, position)
        losses = dict(
            loss_gen=self.gan_loss(pred, True),
            **weight_terms(
                'gen', self.gen_regularizers, self.generator, position
            ),
        )
        for name, regularizer in penalties(self.gen_regularizers, position):
            num = max(len(inputs) // regularizer.batch_shrink, 1)
            random = self.random(num, GEN_PENALTY, position)
            # A model wrapper knows nothing of the two methods.
            generator = unwrap(self.generator)
            with regularizer.precision(inputs, generator):
                latents = self._map(generator, random)
            with named_penalty(name):
                losses[name] = regularizer(
                    self._synthesis(generator, random),
                    latents,
                    grad=grad_of(optimizer_wrapper),
                    random=random,
                )
        return losses

    def _generate(self, random: SampleRandom) -> tuple[Tensor, Tensor | None]:
        """Generate images, and return them with their labels."""
        noise, labels = self.draw_latents(random)
        return self._call(self.generator, noise, labels), labels

    def _map(self, generator: Any, random: SampleRandom) -> Tensor:
        """Run the first part of a two-part generator, to latents ``w``."""
        w: Tensor = generator.mapping(*arguments(*self.draw_latents(random)))
        return w

    def _synthesis(
        self, generator: Any, random: SampleRandom
    ) -> Callable[[Tensor], Tensor]:
        """Return the generator's second part, from latents to images."""
        synthesis: Callable[[Tensor], Tensor] = generator.synthesis
        return synthesis

    def after_update(
        self, network: str, updates: int, skipped: bool | Tensor
    ) -> None:
        """Follow an update; the augmentation adapts to the discriminator."""
        super().after_update(network, updates, skipped)
        if self.augment is not None and network == 'discriminator':
            self.augment.adapt(updates)

    def _discriminate(
        self,
        images: Tensor,
        labels: Tensor | None,
        stream: int,
        position: tuple[int, int],
    ) -> Tensor:
        """Return logits of images, augmented by the numbers of a stream."""
        if self.augment is not None:
            random = self.random(len(images), stream, position)
            images = self.augment(images, random)
        return self._call(self.discriminator, images, labels)

    def _penalised(self, num: int, position: tuple[int, int]) -> nn.Module:
        """Return what penalties differentiate, by images not augmented."""
        if self.augment is None:
            return self.discriminator
        random = self.random(num, PENALTY_AUGMENT, position)
        return AugmentedDiscriminator(self.discriminator, self.augment, random)

    @staticmethod
    def _call(
        network: nn.Module, x: Tensor, labels: Tensor | None, **kwargs: Any
    ) -> Tensor:
        result: Tensor = network(*arguments(x, labels), **kwargs)
        return result

    def _labels(self, data_samples: Any) -> Tensor | None:
        """Return the labels of a real batch, if the model uses them."""
        if self.num_classes is None:
            return None
        labels: Tensor | None = (
            data_samples.get('gt_label')
            if isinstance(data_samples, dict)
            else None
        )
        if labels is None:
            raise UsageError(
                f'num_classes={self.num_classes}, but the batch has no '
                "data_samples['gt_label']: let the dataset give labels "
                "(dict(type='ImageFolderDataset', with_labels=True) takes "
                'folders for classes), or leave num_classes out'
            )
        return labels

    def draw_latents(
        self, random: SampleRandom, bound: float | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Draw latent vectors and labels.

        Args:
            random (SampleRandom): The samples that they are for.
            bound (float, optional): Where the noise is truncated. Defaults to
                None: nowhere.

        Returns:
            tuple[Tensor, Tensor or None]: Noise of shape (num, noise_size),
            standard normal, and labels of shape (num, ), uniform.
        """
        noise = random.normal(self.noise_size, bound=bound)
        if self.num_classes is None:
            return noise, None
        return noise, random.integers(self.num_classes)

    def standing_inputs(self, index: int, num: int) -> tuple[Tensor, ...]:
        """Draw latents, and labels, whatever the run's seed and the rank.

        Truncated, where evaluation is: statistics are of what is seen.
        """
        device = self.data_preprocessor.device
        random = SampleRandom(
            device, num, STANDING, index, seed=0, shared=True
        )
        return arguments(*self._latents_to_see(random))

    def _latents_to_see(
        self, random: SampleRandom
    ) -> tuple[Tensor, Tensor | None]:
        """Draw latents of an evaluation, or of samples."""
        bound = self.threshold
        if bound is None:
            return self.draw_latents(random)
        return self.draw_latents(random, bound)

    def sample(
        self,
        num: int,
        labels: Tensor | None = None,
        index: int = 0,
        use_ema: bool = True,
    ) -> Tensor:
        """Generate images in evaluation mode.

        Args:
            num (int): How many.
            labels (Tensor, optional): Class labels of shape (num, ); Defaults
                to None: random ones, if the model is conditional.
            index (int): The same index gives the same latents. Defaults to 0.
            use_ema (bool): Whether the averaged generator is used, if there
                is one. Defaults to True.

        Returns:
            Tensor: uint8 images of shape (num, C, H, W).
        """
        noise, drawn = self.latents(num, index)
        return self.generate(
            noise, drawn if labels is None else labels, use_ema
        )

    def latents(self, num: int, index: int = 0) -> tuple[Tensor, Any]:
        """Draw latents to sample; those of index 0 are an evaluation's, too.

        Args:
            num (int): How many; the first are the same whatever it is.
            index (int): The same index gives the same latents. Defaults to 0.

        Returns:
            tuple[Tensor, Tensor or None]: Noise of shape (num, noise_size),
            standard normal, beyond no threshold that ``truncation`` is, and
            labels of shape (num, ), uniform, if the model is conditional.
        """
        return self._latents_to_see(self.random(num, SAMPLES, (index, 0)))

    @torch.no_grad()
    def generate(
        self,
        noise: Tensor,
        labels: Tensor | None = None,
        use_ema: bool = True,
    ) -> Tensor:
        """Generate images from given latents in evaluation mode.

        Truncated, if the generator truncates itself; else it is the noise
        that is, by :meth:`latents`.

        Args:
            noise (Tensor): Of shape (N, noise_size).
            labels (Tensor, optional): Class labels of shape (N, ), if the
                model is conditional. Defaults to None.
            use_ema (bool): Whether the averaged generator is used, if there
                is one. Defaults to True.

        Returns:
            Tensor: uint8 images of shape (N, C, H, W).

        Raises:
            UsageError: If a label is no class of the model.
        """
        self._check_labels(labels)
        kwargs = {} if self.psi is None else dict(truncation=self.psi)
        with in_evaluation(self, 'generator', use_ema) as network:
            images = self._call(network, noise, labels, **kwargs)
        pixels: Tensor = self.data_preprocessor.to_uint8(images)
        return pixels

    def panels(self, data: dict[str, Any]) -> dict[str, Tensor]:
        """Return pictures to look at, by what they are.

        Args:
            data (dict): A batch, as the data loader gives it.

        Returns:
            dict[str, Tensor]: uint8 images of shape (N, C, H, W): real ones,
            generated ones of the same classes, always of the same latents,
            and, if there is an average, its.
        """
        real = data['inputs']
        labels = self._labels(data.get('data_samples'))
        if labels is not None:
            labels = labels.to(self.data_preprocessor.device)
        panels = dict(real=real, generator=self.sample(len(real), labels))
        if self.generator_ema is not None:
            raw = self.sample(len(real), labels, use_ema=False)
            average = panels['generator']
            panels = dict(real=real, generator=raw, average=average)
        return panels

    def train(self, mode: bool = True) -> 'ImageGAN':
        """Switch the mode; evaluation begins with its first latents."""
        self._evaluated = 0
        super().train(mode)
        return self

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Generate as many images as there are inputs.

        Each call takes other latents; the first after :meth:`eval` takes those
        that the first one always takes, so that evaluations can be compared.

        Args:
            inputs (Tensor): A batch of images; only its length counts.
            data_samples (Any): Labels to generate, in ``gt_label``. Defaults
                to None.
            mode (str): ``'tensor'`` or ``'predict'``.

        Returns:
            Tensor or list[dict]: uint8 images of shape (N, C, H, W);
            in mode ``'predict'`` one dict each, with ``fake_img``.

        Raises:
            ValueError: If ``mode`` is another. A GAN has two losses, which
                :meth:`train_step` computes.
        """
        check_mode(mode)
        position = (0, self._evaluated)
        self._evaluated += len(inputs) * get_world_size()
        random = self.random(len(inputs), SAMPLES, position)
        noise, labels = self._latents_to_see(random)
        if data_samples:
            labels = self._labels(data_samples)
        images = self.generate(noise, labels)
        if mode == 'tensor':
            return images
        return [dict(fake_img=image) for image in images]


def _with_classes(
    network: dict[str, Any] | nn.Module, num_classes: int | None
) -> dict[str, Any] | nn.Module:
    """Hand the number of classes on to a network that is not told it."""
    if (
        num_classes is None
        or not isinstance(network, dict)
        or 'num_classes' in network
    ):
        return network
    kind = network.get('type')
    found = kind if isinstance(kind, type) else MODELS.get(str(kind))
    if not isinstance(found, type) or 'num_classes' not in arguments_of(found):
        return network
    return dict(network, num_classes=num_classes)


def arguments(x: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
    """Return what a network is called with.

    Args:
        x (Tensor): Noise or images.
        labels (Tensor, optional): Their classes, where the model has some.
    """
    return (x,) if labels is None else (x, labels)
