"""Names and signatures that users may rely on, as lines of text.

``tests/public_api.txt`` holds them, and a test compares. A change that is
meant is written there on purpose: ``python tools/dev/public_api.py --write``.
"""

import argparse
import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from mmamp import registry

SNAPSHOT = Path(__file__).parents[2] / 'tests/public_api.txt'
MODULES = (
    'mmamp',
    'mmamp.config',
    'mmamp.datasets',
    'mmamp.engine.hooks',
    'mmamp.engine.optimizers',
    'mmamp.engine.schedulers',
    'mmamp.engine.strategies',
    'mmamp.evaluation',
    'mmamp.export',
    'mmamp.models',
    'mmamp.models.archs',
    'mmamp.models.augment',
    'mmamp.models.losses',
    'mmamp.registry',
    'mmamp.sharding',
    'mmamp.visualization',
)
"""What is in their ``__all__`` is public."""


def exported() -> dict[str, list[str]]:
    """List the public names of each public module."""
    return {
        x: sorted(importlib.import_module(x).__all__, key=str.lower)
        for x in MODULES
    }


def registered() -> dict[str, dict[str, Any]]:
    """List what a config may name, by registry."""
    for module in MODULES:
        importlib.import_module(module)
    # Tests register models of their own.
    found = {
        name: {
            key: value
            for key, value in getattr(registry, name).module_dict.items()
            if value.__module__.startswith('mmamp.')
            # Nor is what the benchmark trains for users.
        }
        for name in registry.__all__
    }
    return {name: types for name, types in found.items() if types}


@cache
def public_objects() -> dict[str, Any]:
    """Return public classes and functions, each once, by its last name."""
    names: dict[Any, str] = {}
    for module, keys in exported().items():
        for key in keys:
            value = getattr(importlib.import_module(module), key)
            if inspect.isclass(value) or inspect.isfunction(value):
                names[value] = f'{module}.{key}'
    return {name: value for value, name in names.items()}


def methods(cls: type) -> dict[str, Any]:
    """Return the public methods and properties that are a class's own.

    One that a base has is documented there, if its parameters are the same;
    so are all of MMEngine's and torch's.
    """
    public = public_objects().values()
    found = {}
    for owner in reversed(cls.__mro__):
        if not _is_ours(owner) or (owner in public and owner is not cls):
            continue
        bases = [vars(x) for x in owner.__mro__[1:]]
        for name, value in vars(owner).items():
            value = _plain(value)
            if (
                not name.startswith('_')
                and isinstance(value, property | FunctionType)
                and not any(_fits(value, x[name]) for x in bases if name in x)
            ):
                found[name] = value
    return dict(sorted(found.items()))


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition('.')[0] == 'mmamp'


def _plain(value: Any) -> Any:
    """Return the function of a static method or class method."""
    return getattr(value, '__func__', value)


def _fits(ours: Any, theirs: Any) -> bool:
    """Tell whether a base's method has all parameters of an override."""
    theirs = _plain(theirs)
    if not (inspect.isfunction(ours) and inspect.isfunction(theirs)):
        return True
    return _parameters(ours) <= _parameters(theirs)


def _parameters(function: FunctionType) -> set[str]:
    parameters = inspect.signature(function).parameters.values()
    variadic = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return {x.name for x in parameters if x.kind not in variadic}


def signature(value: Callable[..., Any]) -> str:
    """Return a signature as its author wrote it, whatever Python's version."""
    function: Any = value
    if inspect.isclass(value):
        owner = next(x for x in value.__mro__ if '__init__' in vars(x))
        if not _is_ours(owner):
            return f'(...)  # as {owner.__module__}.{owner.__qualname__}'
        function = owner.__init__
    try:
        source = inspect.getsource(inspect.unwrap(function))
    except (OSError, TypeError):  # a dataclass
        return str(inspect.signature(value))
    definition: Any = ast.parse(textwrap.dedent(source)).body[0]
    arguments = definition.args
    if arguments.args and arguments.args[0].arg == 'self':
        del arguments.args[0]
    returns = ast.unparse(definition.returns)
    return f'({ast.unparse(arguments)})' + (
        '' if inspect.isclass(value) else f' -> {returns}'
    )


def lines() -> Iterator[str]:
    """Yield the lines of the snapshot."""
    for name, types in registered().items():
        for key, cls in sorted(types.items()):
            yield f'{name}: mmamp.{key} is {_home(cls)}'
    for module, keys in exported().items():
        for key in keys:
            yield from _lines_of(module, key)


def _home(value: Any) -> str:
    return next(k for k, x in public_objects().items() if x is value)


def _lines_of(module: str, key: str) -> Iterator[str]:
    name = f'{module}.{key}'
    value = getattr(importlib.import_module(module), key)
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        yield name
    elif _home(value) != name:
        yield f'{name} is {_home(value)}'
    else:
        yield name + signature(value)
        members = methods(value) if inspect.isclass(value) else {}
        for member, method in members.items():
            is_property = isinstance(method, property)
            function = method.fget if is_property else method
            text = signature(function)
            yield f'{name}.{member}' + (text[2:] if is_property else text)


def main() -> None:
    """Print the snapshot, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--write', action='store_true', help=f'into {SNAPSHOT}'
    )
    text = '\n'.join(lines()) + '\n'
    if parser.parse_args().write:
        SNAPSHOT.write_text(text)
    else:
        sys.stdout.write(text)


if __name__ == '__main__':
    main()
