"""What a config could have said, where it names what there is not."""

import inspect
import re
from collections.abc import Iterator
from traceback import walk_tb
from typing import Any

from mmengine.registry import OPTIMIZERS, Registry

from mmamp.compat.mmengine import ParamScheduler, scope_of
from mmamp.utils.optimizer_packages import package_of
from mmamp.utils.suggest import arguments_of, did_you_mean

_UNKNOWN_KEY = re.compile(
    r"([\w.]+)\.__init__\(\) got an unexpected keyword argument '(\w+)'"
)
_NO_TYPE = 'must contain the key "type"'
_UNKNOWN_TYPE = re.compile(r'(\S+) is not in the \S+::[^.]+ registry')
_ADVICE = '. Please check whether'
_LOOKED_UP = {
    'optimizer_cls': ('OPTIMIZERS', 'optimizer_cfg'),
    'model_wrapper_type': ('MODEL_WRAPPERS', 'model_wrapper_cfg'),
    'collate_fn': ('FUNCTIONS', 'collate_fn_type'),
    'worker_init_fn': ('FUNCTIONS', 'worker_init_fn_type'),
}
"""Variables of MMEngine's for what a registry has found, or None, which it
goes on with: the registry, and the variable for what it was asked for."""

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
    text, error = str(error), _first(error)
    frames = _frames(error)
    if match := _UNKNOWN_KEY.search(text):
        for cls in _classes(frames, *match.groups()):
            valid = arguments_of(cls)
            hint = did_you_mean(match[2], valid)
            return f'; {cls.__name__} takes {", ".join(valid)}.{hint}'
    if unknown := _unknown(error, text):
        return _registered(*unknown)
    return _schedulable(error, frames)


def unknown_type(error: BaseException) -> tuple[str, str] | None:
    """Return the type that no registry has, where that is the mistake.

    Args:
        error (BaseException): What building from a config has raised.

    Returns:
        tuple[str, str] or None: The type, and that in words.
    """
    # A KeyError would put its text into quotes.
    text = str(error.args[0]) if error.args else ''
    unknown = _unknown(_first(error), text)
    if unknown is None:
        return None
    registry, given = unknown
    if given in text:
        return given, text.partition(_ADVICE)[0]
    where = f'{registry.scope}::{registry.name} registry'
    return given, f'{given} is not in the {where}'


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


def _first(error: BaseException) -> BaseException:
    """Return the error that was put into words by this one, or this one."""
    while error.__cause__ not in (None, error):
        error = error.__cause__
    return error


def _frames(error: BaseException) -> list[Any]:
    return [frame for frame, _ in walk_tb(error.__traceback__)][::-1]


def _unknown(error: BaseException, text: str) -> tuple[Registry, str] | None:
    """Which registry was asked in vain, and for what."""
    if match := _UNKNOWN_TYPE.search(text):
        for frame in _frames(error):
            registry = frame.f_locals.get('registry')
            if isinstance(registry, Registry):
                return registry, match[1].strip('"\'')
    for frame in _frames(error):
        found = frame.f_locals
        for result, (name, asked) in _LOOKED_UP.items():
            registry = frame.f_globals.get(name)
            given = found.get(asked)
            given = given.get('type') if isinstance(given, dict) else given
            if (
                found.get(result, given) is None
                and isinstance(registry, Registry)
                and isinstance(given, str)
            ):
                return registry, given
    return None


def _schedulable(error: BaseException, frames: list[Any]) -> str:
    """Say what could be scheduled, where an optimizer lacks what is."""
    owners = (frame.f_locals.get('self') for frame in frames)
    found = [x for x in owners if isinstance(x, ParamScheduler)]
    if not found or not isinstance(error, KeyError | TypeError):
        return ''
    scheduler, wanted = found[0], found[0].param_name
    wrapper = scheduler.optimizer
    groups = wrapper.param_groups
    lacking = [group for group in groups if group.get(wanted) is None]
    if not lacking:
        return ''
    settings = [
        key
        for key, value in lacking[0].items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]
    return (
        f': {type(scheduler).__name__} changes {wanted!r}, which '
        f'{type(getattr(wrapper, "optimizer", wrapper)).__name__} has not; '
        f'it has {", ".join(settings)}'
    )


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
    if registry.name == OPTIMIZERS.name:
        hint += package_of(given)
    if len(valid) > MANY:
        valid = sorted(registry.module_dict)
    return f'; there are {", ".join(valid)}.{hint}' if valid else ''
