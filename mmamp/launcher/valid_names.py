"""What a config could have said, where it names what there is not."""

import inspect
import re
from collections.abc import Iterator
from traceback import walk_tb
from typing import Any

from mmengine.registry import Registry

from mmamp.near import did_you_mean

_UNKNOWN_KEY = re.compile(
    r"([\w.]+)\.__init__\(\) got an unexpected keyword argument '(\w+)'"
)
_UNKNOWN_TYPE = re.compile(r'(\S+) is not in the \S+ registry')


def valid_names(error: BaseException) -> str:
    """What would have been valid, for errors that do not say it.

    Python names only the argument that a class does not take, and MMEngine's
    registries only the type that they do not have.

    Args:
        error (BaseException): What building from a config has raised.

    Returns:
        str: Such as ``'; Adam takes lr, betas. Did you mean 'lr'?'``, or
        nothing.
    """
    text = str(error)
    while error.__cause__ is not None:
        error = error.__cause__
    frames = [frame for frame, _ in walk_tb(error.__traceback__)][::-1]
    if match := _UNKNOWN_KEY.search(text):
        for cls in _classes(frames, match[1]):
            valid = _arguments(cls)
            hint = did_you_mean(match[2], valid)
            return f'; {cls.__name__} takes {", ".join(valid)}.{hint}'
    if match := _UNKNOWN_TYPE.search(text):
        for frame in frames:
            registry = frame.f_locals.get('registry')
            if isinstance(registry, Registry):
                given = match[1].strip('"\'').rpartition('.')[2]
                return _registered(registry, given)
    return ''


def _classes(frames: list[Any], name: str) -> Iterator[Any]:
    """Which class was being built, when the ``__init__`` of one failed."""
    for frame in frames:
        # MMEngine's build function; the failing one may be a base.
        cls = frame.f_locals.get('obj_cls')
        if inspect.isclass(cls) and any(
            base.__qualname__ == name for base in cls.__mro__
        ):
            yield cls
    for frame in frames[:1]:
        cls = frame.f_globals.get(name)
        if inspect.isclass(cls):
            yield cls


def _arguments(cls: Any) -> list[str]:
    """What a class takes, through all that its bases take for it."""
    found: dict[str, None] = {}
    for base in cls.__mro__:
        if '__init__' not in vars(base):
            continue
        try:
            signature = inspect.signature(base.__init__)
        except ValueError:  # one of C's that does not say
            break
        params = list(signature.parameters.values())[1:]
        named = [p for p in params if p.kind is not p.VAR_POSITIONAL]
        found |= dict.fromkeys(
            p.name for p in named if p.kind is not p.VAR_KEYWORD
        )
        if not any(p.kind is p.VAR_KEYWORD for p in named):
            break
    return list(found)


def _registered(registry: Registry, given: str) -> str:
    """What a registry has of its own and from MMEngine's."""
    valid = sorted({*registry.module_dict, *registry.root.module_dict})
    hint = did_you_mean(given, valid)
    return f'; there are {", ".join(valid)}.{hint}' if valid else ''
