"""A shipped config, made so small that a CPU trains it in seconds."""

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config, ConfigDict

ITERS, EPOCHS = 4, 2
BATCH = 2
SIZES = (
    'scale',
    'scales',
    'img_scale',
    'crop_size',
    'size',
    'pad_size',
    'image_size',
)
LARGE, FACTOR, STEP = 128, 8, 32
"""Sizes from LARGE on are divided, and are multiples of STEP."""
LOOPS = {'train': 'EpochBasedTrainLoop', 'val': 'ValLoop', 'test': 'TestLoop'}


def small(cfg: Config, sizes: bool, edit: str) -> Config:
    """Make a config small.

    Args:
        cfg (Config): As shipped; changed in place.
        sizes (bool): Whether pictures are made smaller too, where what the
            model is built for does not depend on them.
        edit (str): Python on ``cfg``, last.
    """
    for node in dicts(cfg._cfg_dict):
        for key in ('pretrained', 'checkpoint_file'):
            if isinstance(node.get(key), str):
                node[key] = None
        init = node.get('init_cfg')
        if isinstance(init, list | tuple):
            node['init_cfg'] = [x for x in init if not _is_fetched(x)] or None
        elif _is_fetched(init):
            node['init_cfg'] = None
        for key in SIZES if sizes else ():
            if key in node:
                node[key] = smaller(node[key])
    by_epoch = shorten(cfg)
    for name in ('train', 'val', 'test'):
        loader = cfg.get(f'{name}_dataloader')
        for one in loader if isinstance(loader, list) else [loader]:
            if one is not None:
                one.update(num_workers=0, persistent_workers=False)
                one.pop('prefetch_factor', None)
                one.pop('pin_memory', None)
                if 'batch_size' in one:
                    one.batch_size = min(one.batch_size or BATCH, BATCH)
    cfg.load_from, cfg.resume = None, False
    cfg.randomness = dict(seed=0)
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    hooks.logger = dict(type='LoggerHook', interval=1)
    hooks.checkpoint = dict(
        type='CheckpointHook',
        interval=1 if by_epoch else ITERS // 2,
        by_epoch=by_epoch,
    )
    cfg.log_level = 'INFO'
    cfg.setdefault('visualizer', ConfigDict(type='Visualizer'))
    cfg.visualizer.vis_backends = [dict(type='LocalVisBackend')]
    exec(edit, {'cfg': cfg, 'dicts': dicts, 'pictures': pictures})
    return cfg


def shorten(cfg: Config) -> bool:
    """Let a run end soon, validating at its end; tell whether by epochs."""
    train: Any = cfg.train_cfg
    by_epoch = train.get('by_epoch', 'Iter' not in str(train.get('type', '')))
    train.pop('dynamic_intervals', None)
    train.pop('val_begin', None)
    if by_epoch:
        train.update(max_epochs=EPOCHS, val_interval=EPOCHS)
    else:
        train.update(max_iters=ITERS, val_interval=ITERS)
    end = EPOCHS if by_epoch else ITERS
    for node in dicts(cfg.get('param_scheduler') or []):
        if node.get('by_epoch', True) is by_epoch:
            if node.get('begin', 0) >= end:
                node['begin'] = end // 2
            for key in ('end', 'T_max'):
                if key in node:
                    node[key] = end // (1 if node.get('begin') else 2)
        # A schedule of mmagic's that goes down in steps.
        if 'interval' in node:
            node['interval'] = 1
    return by_epoch


def text_of(cfg: Config) -> str:
    """Return a config as Python; MMEngine's own dump sorts what is in dicts.

    Args:
        cfg (Config): Of plain values.
    """
    values = cfg.to_dict()
    return ''.join(f'{key} = {value!r}\n' for key, value in values.items())


def _is_fetched(init: Any) -> bool:
    return isinstance(init, dict) and init.get('type') == 'Pretrained'


def smaller(value: Any) -> Any:
    """Return a size, or a nest of sizes, divided."""
    if isinstance(value, bool) or not isinstance(value, int | list | tuple):
        return value
    if isinstance(value, int):
        if value < LARGE:
            return value
        return max(value // FACTOR // STEP, 2) * STEP
    return type(value)(smaller(x) for x in value)


def pictures(cfg: Config, size: int = 0, validates: bool = False) -> None:
    """Have a config of mmagic read pictures of ours.

    Args:
        cfg (Config): Changed in place.
        size (int): What ``Resize`` makes of them; 0: as it is.
        validates (bool): Whether its metrics do without a network that has
            to be fetched; else it is not validated.
    """
    if not validates:
        for mode in ('val', 'test'):
            for key in ('cfg', 'dataloader', 'evaluator'):
                cfg[f'{mode}_{key}'] = None
        cfg.train_cfg.pop('val_interval', None)
        cfg.train_cfg.pop('val_begin', None)
    for node in list(dicts(cfg._cfg_dict)):
        kind = node.get('type')
        if kind == 'BasicImageDataset':
            keys = list(node.get('data_prefix', dict(gt='')))
            for key in ('ann_file', 'filename_tmpl'):
                node.pop(key, None)
            folders = dict(img='lq', gt='gt', mask='mask', ref='gt')
            node['data_root'] = 'data/pictures'
            node['data_prefix'] = {k: f'train/{folders[k]}' for k in keys}
        elif kind == 'UnpairedImageDataset':
            node['data_root'] = 'data/pictures'
        elif kind == 'PairedImageDataset':
            node.update(data_root='data/pictures/paired', test_dir='val')
        elif kind in ('ImageNet', 'CIFAR10'):
            own = []
            if kind == 'CIFAR10':
                own = [
                    dict(type='LoadImageFromFile', key='gt'),
                    dict(type='Resize', keys=['gt'], scale=(32, 32)),
                ]
            node.update(
                type='ImageNet',
                data_root='data/imagenet',
                ann_file='',
                data_prefix='train',
                pipeline=[*own, *node['pipeline']],
            )
        elif kind == 'PerceptualLoss':
            vgg = node.get('vgg_type', 'vgg19')
            node['pretrained'] = f'torchvision://{vgg}'
        elif kind == 'LoadMask' and 'mask_list_file' in node['mask_config']:
            node['mask_mode'] = 'irregular'
            # In place of a dict that is there, and not beside its keys.
            node['mask_config'] = dict(
                num_vertices=(4, 8),
                max_angle=6.0,
                length_range=(40, 120),
                brush_width=(10, 30),
                area_ratio_range=(0.15, 0.5),
                img_shape=(256, 256),
            )
        elif kind == 'PairedRandomCrop':
            node['gt_patch_size'] = min(node['gt_patch_size'], 96)
        elif kind == 'SinGANDataset':
            node['data_root'] = 'data/pictures/train/gt/0000.png'
        elif kind == 'Resize' and size and 'scale' in node:
            node['scale'] = (size, size)
        elif kind in ('VisualizationHook', 'BasicVisualizationHook'):
            node['interval'] = 2
    for node in dicts(cfg._cfg_dict):
        if 'betas' in node:
            node['betas'] = tuple(map(float, node['betas']))


def dicts(value: Any) -> Iterator[Any]:
    """Yield the dicts in a nest, those around others first."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list | tuple):
        for child in value:
            yield from dicts(child)
