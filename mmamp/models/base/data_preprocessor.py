"""From loaded images to what networks take."""

from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmamp.registry import MODELS


@MODELS.register_module()
class GANDataPreprocessor(BaseDataPreprocessor):
    """Move a batch to the device and normalise its images there.

    Expects batches that the data loader has stacked already
    (``collate_fn=dict(type='default_collate')``): uint8 images of shape
    (N, C, H, W) cross to the device as they are and become float there.
    Images are ``inputs`` and all in ``data_samples`` whose key ends with
    ``_img``: ``gt_img``, ``target_img``.

    Args:
        mean (float): Subtracted from pixel values. Defaults to 127.5.
        std (float): Divides them then. Defaults to 127.5: [0, 255] becomes
            [-1, 1].
        memory_format (str): Of the images: ``'channels_last'`` or
            ``'contiguous_format'``. Defaults to ``'contiguous_format'``.
        non_blocking (bool): Whether the copy to the device may overlap with
            computation. Defaults to True.

    Raises:
        ValueError: If ``std`` is not positive, or there is no such memory
            format.

    Examples:
        >>> data_preprocessor = dict(type='mmamp.GANDataPreprocessor')
    """

    def __init__(
        self,
        mean: float = 127.5,
        std: float = 127.5,
        memory_format: str = 'contiguous_format',
        non_blocking: bool = True,
    ) -> None:
        super().__init__(non_blocking)
        if std <= 0:
            raise ValueError(f'std must be > 0, but got {std!r}')
        self.mean = mean
        self.std = std
        self.memory_format = check_memory_format(memory_format)

    def __getstate__(self) -> dict[str, Any]:
        """Name the memory format, which ``torch.save`` cannot pickle."""
        name = str(self.memory_format).removeprefix('torch.')
        return {**self.__dict__, 'memory_format': name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Undo :meth:`__getstate__`."""
        layout = check_memory_format(state['memory_format'])
        super().__setstate__({**state, 'memory_format': layout})

    def forward(
        self, data: dict[str, Any], training: bool = False
    ) -> dict[str, Any]:
        """Prepare one batch.

        Args:
            data (dict): ``inputs``, a Tensor of shape (N, C, H, W), and
                optionally ``data_samples``, a dict of Tensors of length N
                such as ``gt_label``, or ``gt_img`` of shape (N, C, H, W).
            training (bool): Not used; part of MMEngine's interface.

        Returns:
            dict: ``inputs`` as float32 and ``data_samples`` (None if there
            were none), its images as float32 too, on the model's device.

        Raises:
            TypeError: If ``inputs`` or another image is not one stacked
                tensor.
            ValueError: If it is not of shape (N, C, H, W).
        """
        if not isinstance(data, dict):
            raise _not_stacked('inputs', data)
        inputs = data.get('inputs')
        samples: Any = data.get('data_samples')
        _check_stacked('inputs', inputs)
        images = _image_keys(samples)
        for key in images:
            _check_stacked(key, samples[key])
        batch: dict[str, Any] = self.cast_data(
            dict(inputs=inputs, data_samples=samples)
        )
        batch['inputs'] = self._normalise(batch['inputs'])
        for key in images:
            batch['data_samples'][key] = self._normalise(
                batch['data_samples'][key]
            )
        return batch

    def _normalise(self, images: Tensor) -> Tensor:
        # A copy, whatever the loader gave, so that it can be worked on in
        # place.
        images = images.to(
            torch.float32, memory_format=self.memory_format, copy=True
        )
        return images.sub_(self.mean).div_(self.std)

    def to_uint8(self, images: Tensor) -> Tensor:
        """Undo the normalisation.

        Args:
            images (Tensor): Float images of shape (N, C, H, W).

        Returns:
            Tensor: uint8, of the same shape, values outside of [0, 255]
            clipped.
        """
        pixels = images.float() * self.std + self.mean
        return pixels.round().clamp(0, 255).to(torch.uint8)


def check_memory_format(name: str) -> torch.memory_format:
    """Return torch's memory format of a name, and refuse other names.

    Args:
        name (str): As in torch: ``'channels_last'`` or
            ``'contiguous_format'``.

    Returns:
        torch.memory_format: What torch calls so.

    Raises:
        ValueError: If it is another.
    """
    valid = ('channels_last', 'contiguous_format')
    if name not in valid:
        raise ValueError(
            f'memory_format must be one of {valid}, but got {name!r}'
        )
    layout: torch.memory_format = getattr(torch, name)
    return layout


def _image_keys(samples: Any) -> list[str]:
    if not isinstance(samples, dict):
        return []
    return [key for key in samples if str(key).endswith('_img')]


def _check_stacked(key: str, images: Any) -> None:
    if not isinstance(images, Tensor):
        raise _not_stacked(key, images)
    if images.dim() != 4:
        raise ValueError(
            f'`{key}` must be of shape (N, C, H, W), '
            f'but got {tuple(images.shape)}'
        )


def _not_stacked(key: str, images: Any) -> TypeError:
    return TypeError(
        f'data must be a dict whose `{key}` is one tensor of shape '
        f'(N, C, H, W), but got {type(images).__name__}. Set '
        "`collate_fn=dict(type='default_collate')` in the dataloader, "
        'which stacks the images of a batch (they must have one size)'
    )
