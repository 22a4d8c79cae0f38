"""Data that goes on where it was."""

from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from .hooks import type_name


def take_scopes_off(cfg: Config) -> None:
    """Have collate functions of another package's config built.

    MMEngine marks the dicts of ``_base_ = 'mmpretrain::...'`` with a
    ``_scope_``, and hands that of a ``collate_fn`` on as an argument.

    Args:
        cfg (Config): The config, changed in place.
    """
    for mode in ('train', 'val', 'test'):
        loaders: Any = cfg.get(f'{mode}_dataloader')
        for loader in loaders if isinstance(loaders, list) else [loaders]:
            collate = loader.get('collate_fn') if loader else None
            if isinstance(collate, dict):
                collate.pop('_scope_', None)


def seed_data(cfg: Config) -> None:
    """Make the training data a function of the position in it, and say so.

    Args:
        cfg (Config): The config, changed in place.
    """
    loader: Any = cfg.get('train_dataloader')
    parts = ('dataset', 'sampler')
    if not isinstance(loader, dict) or not all(
        isinstance(loader.get(part), dict) for part in parts
    ):
        return
    if type_name(loader['sampler']) == 'SeededSampler':
        return
    for part in parts:
        kind = f'mmamp.Seeded{part.capitalize()}'
        loader[part] = {'type': kind, part: loader[part]}
    print_log(
        'train_dataloader: random transforms are seeded by the position of '
        'the sample (SeededDataset, SeededSampler), so that a resumed run is '
        'exact',
        logger='current',
    )
