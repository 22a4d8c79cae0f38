"""Child registries of scope ``mmamp``.

MMEngine imports ``<scope>.registry`` by itself when a config names a type as
``'<scope>.Type'``, so this file has to stay at exactly this path. Under
``default_scope='mmamp'`` the Runner looks for a child of each root registry it
builds from, and warns where it finds none: hence also those children that
mmamp itself puts nothing into.
"""

from typing import Any

from mmengine import registry as mmengine_registry
from mmengine.registry import Registry
from torch import nn

__all__ = [
    'DATASETS',
    'DATA_SAMPLERS',
    'EVALUATOR',
    'FUNCTIONS',
    'HOOKS',
    'LOG_PROCESSORS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'MODEL_WRAPPERS',
    'OPTIMIZERS',
    'OPTIM_WRAPPERS',
    'OPTIM_WRAPPER_CONSTRUCTORS',
    'PARAM_SCHEDULERS',
    'RUNNERS',
    'STRATEGIES',
    'TRANSFORMS',
    'VISBACKENDS',
    'VISUALIZERS',
    'WEIGHT_INITIALIZERS',
]


def _child(name: str, *locations: str) -> Registry:
    """Return a child of MMEngine's root registry ``name``.

    Args:
        name (str): Attribute name of the root in ``mmengine.registry``.
        *locations (str): Packages that are imported to fill the child, when
            something is first looked for in it.
    """
    parent = getattr(mmengine_registry, name)
    return Registry(
        parent.name, parent=parent, scope='mmamp', locations=list(locations)
    )


HOOKS = _child('HOOKS', 'mmamp.engine')
LOG_PROCESSORS = _child('LOG_PROCESSORS', 'mmamp.engine')
LOOPS = _child('LOOPS', 'mmamp.engine')
OPTIMIZERS = _child('OPTIMIZERS', 'mmamp.engine')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS', 'mmamp.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(
    'OPTIM_WRAPPER_CONSTRUCTORS', 'mmamp.engine'
)
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS', 'mmamp.engine')
RUNNERS = _child('RUNNERS', 'mmamp.engine')
STRATEGIES = _child('STRATEGIES', 'mmamp.engine')
VISBACKENDS = _child('VISBACKENDS', 'mmamp.engine')
VISUALIZERS = _child('VISUALIZERS', 'mmamp.engine')

MODELS = _child('MODELS', 'mmamp.models', 'mmamp.evaluation')
MODEL_WRAPPERS = _child('MODEL_WRAPPERS', 'mmamp.models')
WEIGHT_INITIALIZERS = _child('WEIGHT_INITIALIZERS', 'mmamp.models')

DATASETS = _child('DATASETS', 'mmamp.datasets')
DATA_SAMPLERS = _child('DATA_SAMPLERS', 'mmamp.datasets')
FUNCTIONS = _child('FUNCTIONS', 'mmamp.datasets')
TRANSFORMS = _child('TRANSFORMS', 'mmamp.datasets')

EVALUATOR = _child('EVALUATOR', 'mmamp.evaluation')
METRICS = _child('METRICS', 'mmamp.evaluation')


def built(name: str, module: dict[str, Any] | nn.Module) -> nn.Module:
    """Build a module from its config, unless it is built already.

    Args:
        name (str): What the user calls it.
        module (dict or nn.Module): What was given.

    Raises:
        TypeError: If it is neither.
    """
    if isinstance(module, nn.Module):
        return module
    if isinstance(module, dict):
        network: nn.Module = MODELS.build(module)
        return network
    raise TypeError(
        f'{name} must be a dict or an nn.Module, '
        f'but got {type(module).__name__}'
    )
