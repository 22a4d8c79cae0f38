"""Which names of types are another project's own."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mmengine.registry import Registry


def own_class(registry: Registry, name: str, scope: str | None) -> Any:
    """Return the class of another project's that a name in a config means.

    Projects have wrappers and hooks of MMEngine's names, such as
    ``CheckpointHook``, which are no stock ones.

    Args:
        registry (Registry): The root, such as ``mmengine.registry.HOOKS``.
        name (str): The type, with its scope in front of it or not.
        scope (str, optional): That of a name without one.

    Returns:
        type or None: None where the name means MMEngine's or mmamp's, and
        where the project is not installed.
    """
    given, _, bare = name.rpartition('.')
    scope = given or scope
    if scope in (None, 'mmengine', 'mmamp') or not scope.isidentifier():
        return None
    try:
        if find_spec(f'{scope}.registry') is None:
            return None
    except ModuleNotFoundError:
        return None
    import_module(f'{scope}.registry')
    child = registry.children.get(scope)
    found: Any = None if child is None else child.get(bare)
    package = getattr(found, '__module__', 'mmengine').partition('.')[0]
    return None if package in ('mmengine', 'mmamp') else found
