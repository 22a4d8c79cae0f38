"""What metrics share: where the images are, and the libraries they need."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from mmengine.dist import get_dist_info
from torch import Tensor

from mmamp.precision.devices import device_of_type


def library(name: str, user: object, extra: str = 'metrics') -> Any:
    """Import a library that mmamp itself does without, when it is needed.

    Args:
        name (str): Of the module.
        user (object): What needs it; its type is named in the error.
        extra (str): The extra of mmamp's that brings it. Defaults to
            ``'metrics'``.

    Returns:
        ModuleType: The module.

    Raises:
        ImportError: If it is not installed, or does not work; one line.
    """
    try:
        return import_module(name)
    except Exception as error:
        # A torchvision made for another torch raises a RuntimeError.
        raise ImportError(
            f'{type(user).__name__} needs {name.partition(".")[0]}, which '
            f"cannot be imported ({error}): `pip install 'mmamp[{extra}]'`"
        ) from None


@contextmanager
def full_precision() -> Iterator[None]:
    """Have convolutions in float32, not in the TF32 that is a GPU's default.

    Whatever a difference of large squares is taken of needs it, and scores
    shall not depend on the GPU.
    """
    cudnn = torch.backends.cudnn
    with cudnn.flags(
        enabled=cudnn.enabled,
        benchmark=cudnn.benchmark,
        deterministic=cudnn.deterministic,
        allow_tf32=False,
    ):
        yield


def in_float64(images: Tensor) -> Tensor:
    """Return images in float64, on the CPU where the device has none.

    Where variances are differences of squares, those of a bright and flat
    picture are lost in float32.

    Args:
        images (Tensor): Of any shape.
    """
    if not device_of_type(images.device.type).has_fast_float64:
        images = images.cpu()
    return images.double()


def fake_images(data_samples: Sequence[dict[str, Any]]) -> Tensor:
    """Stack the images that a model made.

    Args:
        data_samples (Sequence[dict]): Predictions with ``fake_img``, a uint8
            Tensor of shape (C, H, W).

    Returns:
        Tensor: uint8, of shape (N, C, H, W), where the model is.

    Raises:
        TypeError: If a prediction has no such image.
        ValueError: If images differ in shape, or have another number of
            dimensions.
    """
    images = []
    for sample in data_samples:
        image = sample.get('fake_img') if isinstance(sample, dict) else None
        if not isinstance(image, Tensor) or image.dtype is not torch.uint8:
            raise TypeError(
                'each prediction must be a dict with `fake_img`, a uint8 '
                f'tensor of shape (C, H, W), but got {_described(sample)}'
            )
        images.append(image)
    shapes = sorted({tuple(image.shape) for image in images})
    if len(shapes) != 1 or len(shapes[0]) != 3:
        raise ValueError(
            'the `fake_img` of a batch must have one shape (C, H, W), '
            f'but got {", ".join(map(str, shapes)) or "no image"}'
        )
    return torch.stack(images)


def real_images(data_batch: Any, real_key: str, like: Tensor) -> Tensor:
    """Return the real images of a batch.

    Args:
        data_batch (dict): What the data loader gave.
        real_key (str): ``'inputs'``, or a key of ``data_samples``.
        like (Tensor): The generated images; the real ones must have their
            shape.

    Returns:
        Tensor: uint8, of shape (N, C, H, W), on the device of ``like``.

    Raises:
        TypeError: If there are no such images.
        ValueError: If they are not of that shape.
    """
    found: Any = data_batch if isinstance(data_batch, dict) else {}
    if real_key != 'inputs':
        found = found.get('data_samples')
        found = found if isinstance(found, dict) else {}
    images = found.get(real_key)
    where = 'inputs' if real_key == 'inputs' else f'data_samples[{real_key!r}]'
    if not isinstance(images, Tensor) or images.dtype is not torch.uint8:
        raise TypeError(
            f'the batch must have `{where}`, a uint8 tensor of shape '
            f'(N, C, H, W), but got {_described(images)}; there is '
            f'{", ".join(map(str, found)) or "nothing else"}'
        )
    if images.shape != like.shape:
        raise ValueError(
            f'real images (`{where}`) of shape {tuple(images.shape)} cannot '
            f'be compared with generated ones of shape {tuple(like.shape)}'
        )
    return images.to(like.device)


def places_of(num: int, before: int) -> list[int]:
    """Return the places in the whole set of this rank's next samples.

    Args:
        num (int): How many samples there are.
        before (int): How many this rank had before.

    Returns:
        list[int]: As torch's samplers deal out a dataset, so that what is
        drawn for a sample does not depend on the number of ranks.
    """
    rank, world_size = get_dist_info()
    return [(before + i) * world_size + rank for i in range(num)]


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f'a tensor of {value.dtype} of shape {tuple(value.shape)}'
    if isinstance(value, dict):
        return 'a dict with ' + (
            ', '.join(f'{k}: {_described(v)}' for k, v in value.items())
            or 'nothing'
        )
    return type(value).__name__
