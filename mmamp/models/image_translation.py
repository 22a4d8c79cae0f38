"""An image to another image."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmamp.module_names import unwrap
from mmamp.registry import MODELS

from .base_gan import BaseGAN


class ImageTranslationGAN(BaseGAN):
    """What GANs have in common whose generator takes an image.

    Args:
        *args: Arguments of :class:`~mmamp.models.base_gan.BaseGAN`.
        **kwargs: Arguments of :class:`~mmamp.models.base_gan.BaseGAN`.

    Attributes:
        translator (str): Which network makes the results.
    """

    translator: ClassVar[str] = 'generator'
    generator_sees_data = True

    @torch.no_grad()
    def translate(self, images: Tensor, use_ema: bool = True) -> Tensor:
        """Make results in evaluation mode.

        Args:
            images (Tensor): Source images of shape (N, C, H, W), normalised.
            use_ema (bool): Whether the averaged generator is used, if there
                is one. Defaults to True.

        Returns:
            Tensor: uint8 images of shape (N, C, H, W).
        """
        # Without its model wrapper, in which ranks would wait for each other.
        network = unwrap(getattr(self, self.translator))
        average = getattr(self, f'{self.translator}_ema')
        if use_ema and average is not None:
            network = average
        was_training = network.training
        network.eval()
        try:
            results = network(images)
        finally:
            network.train(was_training)
        return self.data_preprocessor.to_uint8(results)

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
        if mode not in ('tensor', 'predict'):
            raise ValueError(
                f"mode={mode!r}: give 'tensor' or 'predict' "
                '(a GAN is trained through train_step; in several processes '
                "with model_wrapper_cfg=dict(type='mmamp."
                "SeparateDistributedDataParallel'))"
            )
        images = self.translate(inputs)
        if mode == 'tensor':
            return images
        return [dict(fake_img=image) for image in images]

    def _images(self, data_samples: Any, key: str) -> Tensor:
        """The images that a batch brings beside its inputs."""
        images = (
            data_samples.get(key) if isinstance(data_samples, dict) else None
        )
        if images is None:
            has = (
                sorted(data_samples)
                if isinstance(data_samples, dict)
                else data_samples
            )
            raise ValueError(
                f"{type(self).__name__} needs data_samples['{key}'], but the "
                f'batch has {has!r}: let the dataset or its pipeline give it'
            )
        return images


def built(module: dict | nn.Module) -> nn.Module:
    """Build a loss, unless it is built already."""
    return module if isinstance(module, nn.Module) else MODELS.build(module)
