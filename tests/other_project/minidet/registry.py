"""Child registries of scope ``minidet``."""

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry


def _child(name, package):
    parent = getattr(mmengine_registry, name)
    location = f'minidet.{package}'
    return Registry(
        parent.name, parent=parent, scope='minidet', locations=[location]
    )


MODELS = _child('MODELS', 'models')
DATASETS = _child('DATASETS', 'datasets')
TRANSFORMS = _child('TRANSFORMS', 'datasets')
METRICS = _child('METRICS', 'evaluation')
HOOKS = _child('HOOKS', 'engine')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS', 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS', 'engine')
