from .constructor import OptimWrapperConstructor
from .hooks import CheckpointHook, DtypeHook
from .wrappers import AmpOptimWrapper

__all__ = [
    'AmpOptimWrapper',
    'CheckpointHook',
    'DtypeHook',
    'OptimWrapperConstructor',
]
