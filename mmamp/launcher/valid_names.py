"""What a config could have said, where it names what there is not."""

import inspect
import re
from collections.abc import Iterator
from traceback import walk_tb
from typing import Any

from mmengine.registry import Registry

from mmamp.compat.mmengine import scope_of
from mmamp.utils.suggest import arguments_of, did_you_mean

_UNKNOWN_KEY = re.compile(
    r"([\w.]+)\.__init__\(\) got an unexpected keyword argument '(\w+)'"
)
_NO_TYPE = 'must contain the key "type"'
_UNKNOWN_TYPE = re.compile(r'(\S+) is not in the \S+ registry')

MANY = 60
"""Names of a registry and its parent that are too many to list them all."""


def valid_names(error: BaseException) -> str:
    """Say what would have been valid, for errors that do not.

    Python names only the argument that a class does not take, and MMEngine's
    registries only the type that they do not have.

    Args:
        error (BaseException): What building from a config has raised.

    Returns:
        str: Such as ``'; Adam takes lr, betas. Did you mean 'lr'?'``, or
        nothing.
    """
    text = str(error)
    while error.__cause__ not in (None, error):
        error = error.__cause__
    frames = [frame for frame, _ in walk_tb(error.__traceback__)][::-1]
    if match := _UNKNOWN_KEY.search(text):
        for cls in _classes(frames, *match.groups()):
            valid = arguments_of(cls)
            hint = did_you_mean(match[2], valid)
            return f'; {cls.__name__} takes {", ".join(valid)}.{hint}'
    if match := _UNKNOWN_TYPE.search(text):
        for frame in frames:
            registry = frame.f_locals.get('registry')
            if isinstance(registry, Registry):
                return _registered(registry, match[1].strip('"\''))
    return ''


def without_type(error: BaseException) -> Any:
    """Return the config that MMEngine could not build for lack of a type.

    Args:
        error (BaseException): What building from a config has raised.

    Returns:
        dict or None: None if the error is of another kind.
    """
    if _NO_TYPE not in str(error):
        return None
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    return frames[-1].f_locals.get('cfg') if frames else None


def _classes(frames: list[Any], name: str, key: str) -> Iterator[Any]:
    """Which class was given the key, when the ``__init__`` of one failed."""
    for frame in frames:
        # MMEngine's build function; the failing one may be a base.
        cls = frame.f_locals.get('obj_cls')
        if (
            inspect.isclass(cls)
            and any(base.__qualname__ == name for base in cls.__mro__)
            and key in frame.f_locals.get('args', ())
        ):
            yield cls
    if not any('obj_cls' in frame.f_locals for frame in frames):
        # The Runner makes some things itself.
        cls = frames[0].f_globals.get(name) if frames else None
        if inspect.isclass(cls):
            yield cls


def _registered(registry: Registry, given: str) -> str:
    """Say what a registry has of its own and from MMEngine's."""
    scope, _, name = given.rpartition('.')
    root = registry.root
    if scope:
        child = scope_of(root, scope)
        if child is None:
            return ''  # of a package that is not there
        registry = child
    valid = sorted({*registry.module_dict, *root.module_dict})
    hint = did_you_mean(name, valid)
    if len(valid) > MANY:
        valid = sorted(registry.module_dict)
    return f'; there are {", ".join(valid)}.{hint}' if valid else ''
