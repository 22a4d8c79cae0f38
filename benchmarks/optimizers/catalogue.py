"""The optimizers that are installed."""

import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch.optim import Optimizer

PACKAGES = {
    'torch': 'torch.optim',
    'pytorch-optimizer': 'pytorch_optimizer',
    'timm': 'timm.optim',
    'schedulefree': 'schedulefree',
    'prodigyopt': 'prodigyopt',
    'dadaptation': 'dadaptation',
    'lion-pytorch': 'lion_pytorch',
    'came-pytorch': 'came_pytorch',
    'adam-mini': 'adam_mini',
    'bitsandbytes': 'bitsandbytes.optim',
    'torchao': 'torchao.optim',
    'heavyball': 'heavyball',
    'galore-torch': 'galore_torch',
    'madgrad': 'madgrad',
    # These have optimizers of a GPU alone.
    'apex': 'apex.optimizers',
    'transformer-engine': 'transformer_engine.pytorch.optimizers',
}
"""The module of each package that its optimizers are in."""


@dataclass(frozen=True)
class Entry:
    """An optimizer of a package.

    Args:
        package (str): As a registry of packages has it.
        version (str): Of the package.
        path (str): Of the class, as a config names it.
    """

    package: str
    version: str
    path: str

    @property
    def name(self) -> str:
        """Return the name of the class."""
        return self.path.rpartition('.')[2]

    @property
    def cls(self) -> type[Optimizer]:
        """Return the class."""
        module, _, name = self.path.rpartition('.')
        found: type[Optimizer] = getattr(importlib.import_module(module), name)
        return found


def installed(packages: list[str]) -> tuple[list[Entry], dict[str, str]]:
    """Return what there is, and why packages could not be imported.

    Args:
        packages (list[str]): Some of ``PACKAGES``.

    Returns:
        tuple[list[Entry], dict[str, str]]: The optimizers, in the order of
        the packages and their names; and the reason for each package that
        has none here.
    """
    found: list[Entry] = []
    missing = {}
    for package in packages:
        try:
            found += _entries(package)
        except PackageNotFoundError:
            missing[package] = 'not installed'
        except Exception as error:
            missing[package] = f'{type(error).__name__}: {error}'
    return found, missing


def _entries(package: str) -> Iterator[Entry]:
    number = version(package)
    path = PACKAGES[package]
    # A class has one name, the one that it has itself where that is public.
    names: dict[Any, str] = {}
    for name, value in sorted(vars(importlib.import_module(path)).items()):
        if _is_own(value, name, path) and names.get(value) != value.__name__:
            names[value] = name
    for name in sorted(names.values()):
        yield Entry(package, number, f'{path}.{name}')


def _is_own(value: Any, name: str, path: str) -> bool:
    return (
        inspect.isclass(value)
        and issubclass(value, Optimizer)
        and value is not Optimizer
        and not name.startswith('_')
        and value.__module__.split('.')[0] == path.split('.')[0]
        # A base class, which leaves them to those that inherit from it.
        and 'defaults' not in inspect.signature(value).parameters
    )
