"""An image to another image."""

from typing import Any, ClassVar

import torch
from torch import Tensor

from mmamp.errors import UsageError
from mmamp.models.base.base_gan import BaseGAN
from mmamp.models.base.in_evaluation import check_mode, in_evaluation


class ImageTranslationGAN(BaseGAN):
    """What GANs have in common whose generator takes an image.

    Args:
        *args: Arguments of :class:`~mmamp.models.base.base_gan.BaseGAN`.
        **kwargs: Arguments of :class:`~mmamp.models.base.base_gan.BaseGAN`.

    Attributes:
        translator (str): Which network makes the results.
        directions (dict[str, str]): The networks by the direction that they
            translate in, ``'a2b'`` from ``inputs`` and ``'b2a'`` back; empty
            where there is only the translator.

    Examples:
        >>> from mmamp.registry import MODELS
        >>> @MODELS.register_module()
        ... class LeastSquaresTranslation(ImageTranslationGAN):
        ...     def disc_loss(self, inputs, data_samples, optimizer_wrapper):
        ...         fake = self.discriminator(self.generator(inputs).detach())
        ...         real = self.discriminator(data_samples['gt_img'])
        ...         return dict(
        ...             loss_fake=fake.square().mean(),
        ...             loss_real=(real - 1).square().mean())
        ...
        ...     def gen_loss(self, inputs, data_samples, optimizer_wrapper):
        ...         fake = self.discriminator(self.generator(inputs))
        ...         return dict(loss_gen=(fake - 1).square().mean())
        >>> model = dict(
        ...     type='LeastSquaresTranslation',
        ...     generator=dict(type='mmamp.ResNetGenerator'),
        ...     discriminator=dict(
        ...         type='mmamp.PatchDiscriminator', in_channels=3))
    """

    translator: ClassVar[str] = 'generator'
    directions: ClassVar[dict[str, str]] = {}
    generator_sees_data = True

    @torch.no_grad()
    def translate(
        self, images: Tensor, use_ema: bool = True, direction: str = 'a2b'
    ) -> Tensor:
        """Make results in evaluation mode.

        Args:
            images (Tensor): Source images of shape (N, C, H, W), normalised.
            use_ema (bool): Whether the averaged generator is used, if there
                is one. Defaults to True.
            direction (str): ``'a2b'``, or another that the model has.
                Defaults to ``'a2b'``.

        Returns:
            Tensor: uint8 images of shape (N, C, H, W).

        Raises:
            UsageError: If the model has no such direction.
        """
        networks = self.directions or dict(a2b=self.translator)
        if direction not in networks:
            raise UsageError(
                f'there is no direction {direction!r}: {type(self).__name__} '
                f'has {", ".join(networks)}'
            )
        with in_evaluation(self, networks[direction], use_ema) as network:
            results = network(images)
        pixels: Tensor = self.data_preprocessor.to_uint8(results)
        return pixels

    def panels(self, data: dict[str, Any]) -> dict[str, Tensor]:
        """Return pictures to look at, by what they are.

        Args:
            data (dict): A batch, as the data loader gives it.

        Returns:
            dict[str, Tensor]: uint8 images of shape (N, C, H, W): sources,
            results, those of the average if there is one, and what else the
            batch has.
        """
        images = self.data_preprocessor(data)['inputs']
        raw = self.translate(images, use_ema=False)
        panels = dict(source=data['inputs'], output=raw)
        if getattr(self, f'{self.translator}_ema') is not None:
            panels['average'] = self.translate(images)
        names = dict(gt_img='target', target_img='real B')
        samples = data.get('data_samples') or {}
        return panels | {
            name: samples[key] for key, name in names.items() if key in samples
        }

    def forward(
        self, inputs: Tensor, data_samples: Any = None, mode: str = 'tensor'
    ) -> Any:
        """Make a result of each input.

        Args:
            inputs (Tensor): Source images, normalised.
            data_samples (Any): Not used. Defaults to None.
            mode (str): ``'tensor'`` or ``'predict'``.

        Returns:
            Tensor or list[dict]: uint8 images of shape (N, C, H, W);
            in mode ``'predict'`` one dict each, with ``fake_img``.

        Raises:
            ValueError: If ``mode`` is another. A GAN has two losses, which
                :meth:`train_step` computes.
        """
        check_mode(mode)
        images = self.translate(inputs)
        if mode == 'tensor':
            return images
        return [dict(fake_img=image) for image in images]

    def images_of(self, data_samples: Any, key: str) -> Tensor:
        """Return the images that a batch brings beside its inputs.

        Args:
            data_samples (dict): The batch's.
            key (str): Such as ``'gt_img'``.

        Returns:
            Tensor: Of shape (N, C, H, W), normalised.

        Raises:
            UsageError: If the batch has none.
        """
        images: Tensor | None = (
            data_samples.get(key) if isinstance(data_samples, dict) else None
        )
        if images is None:
            has = (
                sorted(data_samples)
                if isinstance(data_samples, dict)
                else data_samples
            )
            raise UsageError(
                f"{type(self).__name__} needs data_samples['{key}'], but the "
                f'batch has {has!r}: let the dataset or its pipeline give it'
            )
        return images
