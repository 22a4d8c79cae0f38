"""What toolboxes of 1.x call the things that configs of 0.x name.

Of each toolbox as its last release registers them. What is not here keeps its
name: it is of the project that the config belongs to.
"""

from typing import NamedTuple

PACKAGES = {
    'mmdet': 'mmdet',
    'mmseg': 'mmseg',
    'mmpretrain': 'mmpretrain',
    'mmagic': 'mmagic',
    'mmpose': 'mmpose',
    'mmaction2': 'mmaction',
    'mmrotate': 'mmrotate',
    'mmdet3d': 'mmdet3d',
    'mmocr': 'mmocr',
    'mmselfsup': 'mmselfsup',
    'mmtrack': 'mmtrack',
    'mmflow': 'mmflow',
    'mmamp': 'mmamp',
}
"""What a migration can be for, and the package that has its registries."""
BUILT_ON = {
    'mmrotate': 'mmdet',
    'mmdet3d': 'mmdet',
    'mmocr': 'mmdet',
    'mmtrack': 'mmdet',
}
"""Toolboxes that have what another one registers, under its scope."""


class Name(NamedTuple):
    """What a toolbox calls a thing of 0.x.

    Args:
        toolbox (str): One of ``PACKAGES``, or the library below all of them.
        version (str): Of the toolbox, that was looked at.
        old (str): The name in 0.x.
        new (str): The name now, which may be the same.
        note (str): What else differs. Defaults to '': nothing.
    """

    toolbox: str
    version: str
    old: str
    new: str
    note: str = ''


_BY_STAGE = 'LearningRateDecayOptimizerConstructor'
_BY_LAYER = 'LayerDecayOptimizerConstructor'
_BY_RATE = 'LearningRateDecayOptimWrapperConstructor'
_OF_RATE = 'its paramwise_cfg takes layer_decay_rate, and no num_layers'
CONSTRUCTORS = (
    Name('mmdet', '3.3', _BY_STAGE, _BY_STAGE),
    Name('mmseg', '1.2', _BY_STAGE, _BY_STAGE),
    Name('mmseg', '1.2', _BY_LAYER, _BY_LAYER),
    Name('mmaction2', '1.2', _BY_STAGE, _BY_STAGE),
    Name(
        *('mmaction2', '1.2', 'TSMOptimizerConstructor'),
        'TSMOptimWrapperConstructor',
    ),
    Name('mmpretrain', '1.2', _BY_STAGE, _BY_RATE, _OF_RATE),
    Name('mmpose', '1.3', _BY_LAYER, 'LayerDecayOptimWrapperConstructor'),
)
"""Constructors of optimizers."""


def _same(toolbox: str, version: str, names: str) -> list[Name]:
    return [Name(toolbox, version, x, x) for x in names.split()]


HOOKS = (
    *_same(
        *('MMEngine', '0.10'),
        'EMAHook EmptyCacheHook SyncBuffersHook ProfilerHook IterTimerHook '
        'DistSamplerSeedHook',
    ),
    *_same('MMCV', '2.2', 'RFSearchHook'),
    *_same('mmagic', '1.2', 'PGGANFetchDataHook PickleDataHook'),
    *_same(
        *('mmdet', '3.3'),
        'NumClassCheckHook CheckInvalidLossHook SetEpochInfoHook '
        'MemoryProfilerHook YOLOXModeSwitchHook SyncNormHook',
    ),
    *_same(
        *('mmpretrain', '1.2'),
        'ClassNumCheckHook PreciseBNHook DenseCLHook SimSiamHook SwAVHook',
    ),
    *_same('mmselfsup', '1.0', 'DenseCLHook SimSiamHook SwAVHook ODCHook'),
    *_same('mmpose', '1.3', 'SyncNormHook'),
    *_same(
        *('mmtrack', '1.0rc'),
        'YOLOXModeSwitchHook SiamRPNBackboneUnfreezeHook',
    ),
    *_same('mmflow', '1.0rc', 'LiteFlowNetStageLoadHook'),
)
"""Hooks."""
_EMA_OF_MODEL = (
    'the momentum follows its cosine in the model itself: base_momentum of '
    'BYOL and MoCoV3 in mmpretrain 1.2, which is the share of the new weights'
)
GONE = {
    'SyncRandomSizeHook': 'the data preprocessor resizes batches: '
    "batch_augments=[dict(type='BatchSyncRandomResize', random_size_range="
    '..., interval=...)] of DetDataPreprocessor in mmdet 3.3',
    'BYOLHook': _EMA_OF_MODEL,
    'MomentumUpdateHook': _EMA_OF_MODEL,
    'DeepClusterHook': 'that of mmselfsup 1.0 takes an extract_dataloader '
    'and a seed, no extractor and no data_loaders',
    'InterCLRHook': 'neither mmselfsup 1.0 nor mmpretrain 1.2 has it',
    'ModelSetEpochHook': 'mmpose 1.3 has none; one of your own may call '
    'set_train_epoch(runner.epoch + 1) of the model before_train_epoch',
    'SubBatchNorm3dAggregationHook': 'mmaction2 1.2 has no multigrid training',
    'DropPathProbHook': 'mmrazor 1.0 has none; one of your own may set '
    'drop_path_prob of the model before_train_epoch',
    'SearchSubnetHook': 'a loop of mmrazor 1.0 searches: EvolutionSearchLoop '
    'or AutoSlimGreedySearchLoop',
    'ClosureHook': 'MMEngine has none; a hook has a method for each moment',
    'WandbLoggerHook': 'it is WandbVisBackend of the visualizer now',
    'MMDetWandbHook': 'it is WandbVisBackend of the visualizer now',
    'MMClsWandbHook': 'it is WandbVisBackend of the visualizer now',
    'MMSegWandbHook': 'it is WandbVisBackend of the visualizer now',
}
"""Hooks of 0.x that no toolbox of 1.x has, and what does now what they did."""


def named(names: tuple[Name, ...], old: str, target: str = '') -> list[Name]:
    """Find what a thing of 0.x is called.

    Args:
        names (tuple[Name, ...]): Of its kind.
        old (str): Its name in 0.x.
        target (str): The toolbox that it is for. Defaults to '': any.

    Returns:
        list[Name]: Of the target and of the libraries below it; if they have
        none, of the toolbox that the target is built on.
    """
    found = [x for x in names if x.old == old]
    if not target:
        return found
    own = [x for x in found if x.toolbox not in {*PACKAGES} - {target}]
    if own:
        return own
    base = BUILT_ON.get(target)
    return [
        x._replace(new=f'{x.toolbox}.{x.new}')
        for x in found
        if x.toolbox == base
    ]


def listed(names: list[Name]) -> str:
    """Say which toolbox calls a thing how."""
    return ', '.join(f'{x.new} in {x.toolbox} {x.version}' for x in names)
