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
    'mmamp': 'mmamp',
}
"""What a migration can be for, and the package that has its registries."""


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
CONSTRUCTORS = (
    Name('mmdet', '3.3', _BY_STAGE, _BY_STAGE),
    Name('mmseg', '1.2', _BY_STAGE, _BY_STAGE),
    Name('mmseg', '1.2', _BY_LAYER, _BY_LAYER),
    Name('mmaction2', '1.2', _BY_STAGE, _BY_STAGE),
    Name(
        *('mmaction2', '1.2', 'TSMOptimizerConstructor'),
        'TSMOptimWrapperConstructor',
    ),
    Name(
        *('mmpretrain', '1.2', _BY_STAGE),
        'LearningRateDecayOptimWrapperConstructor',
        'its paramwise_cfg takes layer_decay_rate, and no num_layers',
    ),
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
    *_same('mmpose', '1.3', 'SyncNormHook'),
)
"""Hooks."""


def named(names: tuple[Name, ...], old: str, target: str = '') -> list[Name]:
    """Find what a thing of 0.x is called.

    Args:
        names (tuple[Name, ...]): Of its kind.
        old (str): Its name in 0.x.
        target (str): The toolbox that it is for. Defaults to '': any.
    """
    return [
        x
        for x in names
        if x.old == old
        and (not target or x.toolbox not in PACKAGES or x.toolbox == target)
    ]


def listed(names: list[Name]) -> str:
    """Say which toolbox calls a thing how."""
    return ', '.join(f'{x.new} in {x.toolbox} {x.version}' for x in names)
