"""New pictures for a trained model: through what its test data go through."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dataset import Compose, default_collate

from mmamp.config.hooks import type_name
from mmamp.datasets.image_folder import pictures_below
from mmamp.errors import UsageError
from mmamp.registry import DATASETS

MAKE_PAIRS = ('Edges', 'MakeLowResolution', 'SplitPair')
"""Transforms that make a source of a wanted result, which nobody has now."""
_SIDES = dict(a2b='source', b2a='target')
"""Of an ``UnpairedDataset``, by the direction that begins there."""


def batches_of(
    cfg: Config, folder: Path, direction: str
) -> Iterator[tuple[Path, Any]]:
    """Load the pictures of a folder as the sources of a model.

    They go through the pipeline of the test data. Where that makes pairs of
    pictures, what comes before is left out: a new picture is a source.

    Args:
        cfg (Config): Of the model.
        folder (Path): With the pictures, in folders or not.
        direction (str): ``'a2b'`` or ``'b2a'``.

    Yields:
        tuple[Path, dict]: Path below the folder, and a batch of one.

    Raises:
        FileNotFoundError: If there is no such folder.
        NotADirectoryError: If it is a file.
        ValueError: If it holds no picture, or one cannot be read.
        UsageError: If the config has no data.
    """
    paths = pictures_below(folder)
    pipeline = Compose(_pipeline(_dataset(cfg, direction)))
    for path in paths:
        # Of a pair, whose transforms are for both; only the source is used.
        item = dict(img_path=str(path), gt_img_path=str(path))
        yield path.relative_to(folder), default_collate([pipeline(item)])


def _dataset(cfg: Config, direction: str) -> Any:
    """Return the config of the data that a direction begins with."""
    for mode in ('test', 'val', 'train'):
        if loader := cfg.get(f'{mode}_dataloader'):
            break
    else:
        raise UsageError(
            'the config has no test_dataloader, whose pipeline new pictures '
            'would go through'
        )
    dataset = loader['dataset']
    while 'dataset' in dataset:
        dataset = dataset['dataset']
    return (
        dataset.get(_SIDES[direction], dataset)
        if (type_name(dataset) == 'UnpairedDataset')
        else dataset
    )


def _pipeline(dataset: Any) -> list[Any]:
    """Return the transforms of new pictures."""
    transforms = list(dataset.get('pipeline', ()))
    names = [type_name(transform) for transform in transforms]
    makers = [i for i, name in enumerate(names) if name in MAKE_PAIRS]
    kept = transforms[makers[-1] + 1 :] if makers else transforms
    loaders = [
        transform
        for transform, name in zip(transforms, names, strict=True)
        if name.startswith('LoadImage')
    ]
    if not loaders:
        # Of data in memory, whose channels an item tells.
        channels = len(DATASETS.build(dataset)[0]['inputs'])
        color = 'grayscale' if channels == 1 else 'color'
        return [dict(type='mmamp.LoadImage', color_type=color), *kept]
    return [*loaders, *kept] if makers else kept
