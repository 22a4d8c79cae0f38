"""What a model's networks are called with."""

from typing import Any

from mmengine.config import Config
from torch import nn

from mmamp.errors import UsageError
from mmamp.models.gans.image_gan import ImageGAN
from mmamp.models.gans.image_translation import ImageTranslationGAN
from mmamp.registry import DATASETS
from mmamp.utils.protocols import TakesAnySize

from .inputs import Inputs, Latents, Pictures
from .metadata import limits_of

MODES = ('test', 'val', 'train')


def inputs_of(
    model: nn.Module,
    network: nn.Module,
    cfg: Config,
    size: tuple[int, int] | None,
    is_dynamic: bool,
) -> Inputs:
    """Return what a generator of a model is called with.

    Args:
        model (BaseGAN): The model.
        network (nn.Module): Its generator.
        cfg (Config): Whose data say how large pictures are, if nobody else
            does.
        size (tuple[int, int], optional): Height and width of pictures.
        is_dynamic (bool): Whether any number of samples goes, and pictures of
            any size where the network takes them.

    Raises:
        UsageError: If nobody knows, or the size does not matter.
    """
    if isinstance(model, ImageGAN):
        if size is not None:
            raise UsageError(
                f'--size: {type(network).__name__} makes images of noise, '
                'which have one size; leave it out'
            )
        return Latents(
            model.noise_size,
            model.num_classes,
            model.psi,
            model.threshold,
            is_dynamic,
        )
    if not isinstance(model, ImageTranslationGAN):
        raise UsageError(
            f'{type(model).__name__} is neither an ImageGAN nor an '
            'ImageTranslationGAN, so that nobody knows what its generator is '
            'called with'
        )
    multiple = 1
    is_open = is_dynamic and isinstance(network, TakesAnySize)
    if isinstance(network, TakesAnySize):
        multiple = network.size_multiple
    if is_open and size is not None:
        raise UsageError(
            f'--size: with --dynamic-batch {type(network).__name__} takes '
            'pictures of any size; leave one of the two out'
        )
    if not is_open and size is None:
        size = _size_of_data(cfg)
    return Pictures(
        _channels(network), size, multiple, limits_of(model), is_dynamic
    )


def _channels(network: nn.Module) -> int:
    """Return how many channels the first convolution takes."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    raise UsageError(
        f'{type(network).__name__} has no convolution that says how many '
        'channels a picture has'
    )


def _size_of_data(cfg: Config) -> tuple[int, int]:
    """Return height and width of the first picture of the test data."""
    loaders = [cfg.get(f'{mode}_dataloader') for mode in MODES]
    loader = next(filter(None, loaders), None)
    if loader is None:
        raise UsageError(
            '--size HEIGHT WIDTH is needed, since the config has no data '
            'whose first picture would have one'
        )
    try:
        item: Any = DATASETS.build(loader['dataset'])[0]
        height, width = item['inputs'].shape[1:]
    except Exception as error:  # whatever a data set makes of missing data
        raise UsageError(
            '--size HEIGHT WIDTH is needed, since the first picture of the '
            f'data cannot be loaded ({" ".join(str(error).split())})'
        ) from error
    return height, width
