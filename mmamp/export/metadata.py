"""What a file says of the network in it."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from mmamp.errors import UsageError
from mmamp.models.base.data_preprocessor import GANDataPreprocessor
from mmamp.version import __version__

from .inputs import Inputs, Result
from .libraries import library

EXTRA = 'mmamp.json'
"""The file in those of TorchScript and torch.export."""
Metadata = dict[str, Any]


def preprocessor_of(model: nn.Module) -> GANDataPreprocessor:
    """Return what normalises a model's images.

    Args:
        model (BaseGAN): The model.

    Raises:
        UsageError: If it is of another kind, so that nobody knows how.
    """
    found: Any = getattr(model, 'data_preprocessor', None)
    if not isinstance(found, GANDataPreprocessor):
        raise UsageError(
            f'data_preprocessor {type(found).__name__} does not say what '
            'pixels are to the network: export needs a GANDataPreprocessor, '
            'or a subclass of it'
        )
    return found


def limits_of(model: nn.Module) -> tuple[float, float]:
    """Return what 0 and 255 are, as the model's networks see pixels.

    Args:
        model (BaseGAN): The model.
    """
    found = preprocessor_of(model)
    return (0 - found.mean) / found.std, (255 - found.mean) / found.std


def describe(
    model: nn.Module,
    cfg: Config,
    inputs: Inputs,
    result: Result,
    **facts: Any,
) -> Metadata:
    """Return all that one has to know of an exported network.

    Args:
        model (BaseGAN): The model.
        cfg (Config): Its config, with its data.
        inputs (Inputs): What the network is called with.
        result (Result): What it makes of some of them.
        **facts: Such as the name of the network.

    Returns:
        dict: Of strings, numbers, lists, dicts and None.
    """
    preprocessor = preprocessor_of(model)
    given = result.inputs[0].shape
    shape: list[int | str] = list(result.images.shape)
    for i, axis in inputs.axes[inputs.names[0]].items():
        scale = result.images.shape[i] // given[i]
        shape[i] = axis.name if scale == 1 else f'{scale}*{axis.name}'
    return dict(
        mmamp=__version__,
        **facts,
        inputs=inputs.described(),
        output=dict(
            name=inputs.output,
            shape=shape,
            dtype='float32',
            range=list(limits_of(model)),
            mean=preprocessor.mean,
            std=preprocessor.std,
            pixels='clamp(round(x * std + mean), 0, 255)',
        ),
        image_size=shape[2:],
        channels=_order(cfg, result.images.shape[1]),
        num_classes=getattr(model, 'num_classes', None),
        truncation=inputs.truncation,
    )


def _order(cfg: Config, channels: int) -> str:
    """Say what the channels of a picture are."""
    if channels != 3:
        return 'grey' if channels == 1 else str(channels)
    is_bgr = any(
        str(x.get('type')).endswith('PackImage') and x.get('to_rgb') is False
        for x in _dicts(cfg.to_dict())
    )
    return 'BGR' if is_bgr else 'RGB'


def _dicts(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _dicts(item)


def as_text(value: Any) -> str:
    """Return metadata, or one value of it, as JSON."""
    return json.dumps(value, ensure_ascii=False)


def read_metadata(path: str | Path) -> Metadata | None:
    """Read what an exported file says of itself; nothing in it is run.

    Args:
        path (str or Path): Of any of the formats.

    Returns:
        dict or None: The metadata; None if ``mmamp.export`` has not written
        it. Of an ONNX file it needs ``onnx``.

    Raises:
        UsageError: If that is not installed.
    """
    path = Path(path)
    if zipfile.is_zipfile(path):
        return _of_extra_file(path) or _of_checkpoint(path)
    return _of_onnx(path) if path.suffix == '.onnx' else None


def _of_extra_file(path: Path) -> Metadata | None:
    with zipfile.ZipFile(path) as file:
        for name in file.namelist():
            if Path(name).name == EXTRA:
                return _ours(_value(file.read(name)))
    return None


def _ours(found: Any) -> Metadata | None:
    """Return what is of ``mmamp.export``; None of what others wrote."""
    is_ours = isinstance(found, dict) and {'mmamp', 'inputs'} <= set(found)
    return found if is_ours else None


def _value(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:  # a foreign file's
        return None


def _of_checkpoint(path: Path) -> Metadata | None:
    try:
        content = torch.load(path, map_location='meta', weights_only=True)
    except Exception:  # whatever a foreign file makes of the reader
        return None
    return _ours(content.get('meta') if isinstance(content, dict) else None)


def _of_onnx(path: Path) -> Metadata | None:
    onnx = library('onnx')
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:  # as above
        return None
    return _ours({x.key: _value(x.value) for x in model.metadata_props})
